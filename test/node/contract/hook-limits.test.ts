import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as limits from "#src/contract/hook-limits.ts";
import { hookEvents } from "#src/contract/hooks.ts";

it("each limit of a hook ends before the one around it", () => {
  const { clientMs, drainMs, heldMs, holdMs, hostMs, inputMs, lateHostMs, pluginMs, savingMs, toolMs } = limits;
  expect([holdMs, heldMs, clientMs("PermissionRequest")]).toEqual([570_000, 590_000, 600_000]);
  for (const event of hookEvents) {
    expect(hostMs(event)).toBeLessThan(clientMs(event));
    expect(drainMs + lateHostMs).toBeLessThan(hostMs(event));
    expect(inputMs).toBeLessThan(hostMs(event));
  }
  expect(savingMs.turn).toBeLessThan(savingMs.checkpoint);
  for (const around of [toolMs, hostMs("PreToolUse"), hostMs("PreCompact"), pluginMs.event])
    expect(savingMs.checkpoint).toBeLessThan(around);
});

it("the script of hooks waits as long as the hook program", () => {
  const script = readFileSync(join(import.meta.dirname, "../../../src/local-mcp/events/shim-hook.pl"), "utf8");
  const stated =
    /\$event =~ (\/.*?\/i) \? (\d+) : \$event =~ (\/.*?\/) \? (\d+) : (\d+);[^]*?\(\$held, \$is_held\) = \((\d+), 0\)/;
  const [, start, startSeconds, saving, savingSeconds, seconds, held] = stated.exec(script) ?? [];
  expect([start, saving, held]).toEqual([
    "/^session_?start$/i",
    "/^(?:PreToolUse|PreCompact)$/",
    `${limits.heldMs / 1_000}`,
  ]);
  expect([startSeconds, savingSeconds, seconds].map(Number)).toEqual(
    ["SessionStart", "PreToolUse", "PostToolUse"].map((event) => limits.hostMs(event) / 1_000),
  );
  expect(limits.hostMs("session_start")).toBe(limits.hostMs("SessionStart"));
  expect(limits.hostMs("PreCompact")).toBe(limits.hostMs("PreToolUse"));
});

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { spoolEvent } from "#src/local-mcp/hooks/spool-hook.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

it("[HO8] no half of a secret that a limit cuts in two is in the spool", () => {
  const runtime = tempRuntime();
  for (let before = 31_960; before < 32_000; before += 8) {
    const prompt = `${"x ".repeat(before / 2)}${token} and more`;
    spoolEvent(runtime, { event: "UserPromptSubmit", input: { session_id: "s", prompt }, clientPid: 1 });
  }
  const folder = runtime.paths.spool;
  const spooled = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  expect(spooled.join("")).toContain("x x x");
  expect(spooled.join("")).not.toContain("ghp_");
});

it("[HO6] an unknown event name is logged without a secret", () => {
  const runtime = tempRuntime();
  answerHook(runtime, `x ${token}`, () => "{}", 1);
  expect(JSON.stringify(runtime.logged)).toContain("unknown hook event");
  expect(JSON.stringify(runtime.logged)).not.toContain("ghp_");
});

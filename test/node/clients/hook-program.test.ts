import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { HookProgram } from "#src/clients/hook-program.ts";
import { maxEventLineChars } from "#src/contract/hook-stream.ts";
import { childrenOf, untilFound, type Child } from "#harness/claude/claude-code.ts";
import { call, limits, StreamRig } from "#harness/clients/stream-rig.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

it("[CA44] one process answers all events but a start and a large one @night", async () => {
  const rig = new StreamRig();
  const program = rig.program();
  await rig.send(program, "SessionStart", { source: "startup" });
  await rig.send(program, "UserPromptSubmit", { prompt: "begin", prompt_id: "p1" });
  for (const n of [1, 2]) {
    await rig.send(program, "PreToolUse", call(n));
    await rig.send(program, "PostToolUse", call(n));
  }
  await rig.send(program, "UserPromptSubmit", { prompt: "y".repeat(maxEventLineChars), prompt_id: "p2" });
  await rig.send(program, "Stop", {});
  expect(rig.starts().toSorted()).toEqual(["SessionStart", "UserPromptSubmit", "stream"]);
  expect(rig.entries().map(({ kind }) => kind)).toEqual([
    "start",
    "prompt",
    "tool_start",
    "tool_end",
    "tool_start",
    "tool_end",
    "prompt",
    "turn_end",
  ]);
  expect(rig.reports).toEqual([]);
});

const failing = {
  "cannot start": "exit 1",
  "does not answer": "exec cat > /dev/null",
  "answers with rubbish": "echo rubbish; exec cat > /dev/null",
  "refuses each event": `exec sed -u 's/.*"id":\\([0-9]*\\).*/{"id":\\1,"error":"no"}/'`,
  "records, and its replies are lost": `${process.execPath} ${built.hook} "$@" > /dev/null; exit`,
};

it.each(Object.entries(failing))("[CA44] a stream that %s: each event counts once @night", async (_kind, lines) => {
  const rig = new StreamRig();
  const program = rig.program(limits, () => 0, lines);
  // Those behind the event that is not answered wait no longer than it.
  await Promise.all([1, 2].map((n) => rig.send(program, "PreToolUse", call(n))));
  for (const n of [1, 2]) await rig.send(program, "PostToolUse", call(n));
  await rig.send(program, "Stop", { last_assistant_message: "Done." });
  expect(rig.session()?.toolCalls).toBe(2);
  const kinds = rig.entries().map(({ kind }) => kind);
  expect(kinds.toSorted()).toEqual(["assistant", "tool_end", "tool_end", "tool_start", "tool_start", "turn_end"]);
  expect(rig.reports).toEqual([]);
});

it("[CA45] a stream that ends is replaced at the next event; before its first answer, not at once @night", async () => {
  const rig = new StreamRig();
  let now = 0;
  const marker = join(rig.paths.home, "works");
  const program = rig.program(limits, () => now, `[ -e ${marker} ] || exit 1`);
  const streams = (): number => rig.starts().filter((one) => one === "stream").length;
  for (const n of [1, 2]) await rig.send(program, "PreToolUse", call(n));
  expect(streams()).toBe(1);
  now += limits.restartMs;
  writeFileSync(marker, "");
  for (const n of [3, 4]) await rig.send(program, "PreToolUse", call(n));
  expect(streams()).toBe(2);
  killEvery(rig.streams().map((pid) => ({ pid })));
  await untilFound(() => rig.streams().length === 0, "the end of the stream");
  for (const n of [5, 6]) await rig.send(program, "PreToolUse", call(n));
  expect(streams()).toBe(3);
  expect(rig.entries()).toHaveLength(6);
});

const isOther = ({ command }: Child): boolean => !command.includes("611");

it("[CA12] [CA44] a hook that hangs in every way is ended and reported", async () => {
  const reports: string[] = [];
  const program = new HookProgram(["bash", "-c", "exec sleep 611"], "opencode", { ...limits, eventMs: 200 });
  expect(await program.send("Stop", {}, (message) => reports.push(message))).toEqual({});
  expect(reports).toEqual([expect.stringMatching(/^SHIM's hook did not answer at Stop: /)]);
  await untilFound(() => childrenOf(process.pid).every(isOther), "the end of the hooks");
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { opencode } from "#harness/clients/real-clients.ts";
import type { ToolCall } from "#harness/clients/wire-format.ts";
import { untilFound } from "#harness/claude/claude-code.ts";

/** A command that ends when there is such a file. */
const until = (file: string): ToolCall => opencode.shell(`until [ -e ${file} ]; do sleep 0.1; done`);

const isHook = ({ command }: { readonly command: readonly string[] }): boolean =>
  command.some((word) => word.endsWith("hook.cjs"));

it("[CA44] [CA45] OpenCode has one hook process, which ends with it, also after kill -9 while its child lives @night", async () => {
  const rig = new ClientRig(opencode);
  const calls = ["one", "two"].map((word) => ({ tools: [opencode.shell(`echo ${word}`)] }));
  const run = await rig.start("Make the parser accept empty input", [
    ...calls,
    { tools: [opencode.shell("exec sleep 600")] },
  ]);
  const isRunning = (): boolean => rig.processes().some(({ command }) => command[0] === "sleep");
  await untilFound(isRunning, `the command: ${JSON.stringify(run.process.output)}`);
  const [session] = rig.sessions();
  expect(rig.stored(session!.id).journal.filter(({ entry }) => entry.kind === "tool_start")).toHaveLength(3);
  expect(rig.processes().filter(isHook)).toMatchObject([{ command: expect.arrayContaining(["stream"]) }]);
  process.kill(run.process.pid, "SIGKILL");
  await untilFound(() => !rig.processes().some(isHook), "the end of the hook process");
  expect(isRunning()).toBe(true);
});

it("[CA44] [CA45] a killed hook process of OpenCode loses nothing, and another one follows it @night", async () => {
  const rig = new ClientRig(opencode);
  const run = await rig.start("Make the parser accept empty input", [
    { tools: [opencode.shell("echo one")] },
    { tools: [until("first")] },
    { tools: [until("second")] },
    { text: "The parser accepts it now." },
  ]);
  const waiting = (file: string): Promise<unknown> =>
    untilFound(
      () => rig.processes().some(({ command }) => command.join(" ").includes(`until [ -e ${file} ]`)),
      `the wait for ${file}: ${JSON.stringify(run.process.output)}`,
    );
  await waiting("first");
  const [killed, ...others] = rig.processes().filter(isHook);
  expect(others).toEqual([]);
  process.kill(killed!.pid, "SIGKILL");
  writeFileSync(join(rig.project, "first"), "");
  await waiting("second");
  const hooks = rig.processes().filter(isHook);
  expect(hooks).toMatchObject([{ command: expect.arrayContaining(["stream"]) }]);
  expect(hooks).not.toMatchObject([{ pid: killed!.pid }]);
  writeFileSync(join(rig.project, "second"), "");
  expect(await run.process.waitForExit()).toMatchObject({ code: 0 });
  const [session] = rig.sessions();
  expect(session).toMatchObject({ toolCalls: 3, toolErrors: 0 });
  expect(rig.stored(session!.id).journal.map(({ entry }) => entry.kind)).toEqual([
    "start",
    "prompt",
    ...Array.from({ length: 3 }, () => ["tool_start", "tool_end"]).flat(),
    "assistant",
    "turn_end",
  ]);
  await untilFound(() => rig.processes().length === 0, "the end of all processes");
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { opencode } from "#harness/clients/real-clients.ts";
import type { ToolCall } from "#harness/clients/wire-format.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { untilFound } from "#harness/claude/claude-code.ts";

/** A command that ends when there is such a file. */
const until = (file: string): ToolCall => opencode.shell(`until [ -e ${file} ]; do sleep 0.1; done`);

const isHook = ({ command }: { readonly command: readonly string[] }): boolean =>
  command.some((word) => word.endsWith("hook.cjs"));

it("OpenCode sends its events to the host; where that is killed, the next one has every event, once @night", async () => {
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
  expect(rig.processes().filter(isHook)).toEqual([]);
  const hosts = hostsOf(rig.paths.home);
  expect(hosts).toHaveLength(1);
  killEvery(hosts);
  writeFileSync(join(rig.project, "first"), "");
  await waiting("second");
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
});

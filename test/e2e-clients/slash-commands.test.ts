import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import type { ModelRequest, Step } from "#harness/claude/scripted-model.ts";
import { fail, type ChatRig } from "#harness/clients/chat-rig.ts";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig, shell } from "#harness/clients/codex-rig.ts";
import { copilot, gemini, opencode, qwen, type RealClient } from "#harness/clients/real-clients.ts";
import { isRequest } from "#src/machine/sessions/work-state.ts";

const before = "export {};\n";

function textOf({ messages }: ModelRequest): string {
  return messages.map(({ text }) => text).join("\n");
}

/** A model that runs the command which the text names for the time after the user's yes. */
function undoing(call: (command: string) => Step, seen: string[]): (request: ModelRequest) => Step {
  return (request) => {
    const text = textOf(request);
    seen.push(text);
    if (seen.length > 1) return { text: "It is as before." };
    const [, command] = /Only after a yes: `([^`]+ undo [^`]*--yes --json)`/.exec(text) ?? [];
    return call(command ?? fail(`no command in ${text.slice(-3_000)}`));
  };
}

/** The files are as before, and the slash command is no prompt that an undo would count. */
async function expectUndone(rig: ChatRig, id: string, command: string): Promise<void> {
  expect(readFileSync(rig.path("one.ts"), "utf8")).toBe(before);
  const prompts = rig.stored(id).journal.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
  expect(prompts).toContain(command);
  expect(prompts.filter(isRequest)).toEqual(["Rewrite the file"]);
}

async function rewrites(rig: ClientRig): Promise<void> {
  const { client } = rig;
  await rig.run("Rewrite the file", [
    { tools: [client.read(rig.path("one.ts"))] },
    { tools: [client.edit(rig.path("one.ts"), "export {};", "export const written = true;")] },
    { text: "Done." },
  ]);
}

it.each([qwen, opencode, gemini])(
  "$name: the slash command undo of a real chat takes its turn back @night",
  async (client: RealClient) => {
    const rig = new ClientRig(client);
    await rewrites(rig);
    const { id } = await rig.begun();
    expect(readFileSync(rig.path("one.ts"), "utf8")).not.toBe(before);
    const seen: string[] = [];
    await rig.runCommand(
      "undo",
      "",
      undoing((line) => ({ tools: [client.shell(line)] }), seen),
      id,
    );
    await expectUndone(rig, id, "/shim:undo");
  },
);

it("codex: the skill's undo of a real chat takes its turn back @night", async () => {
  const rig = new CodexRig();
  await rig.executed("Rewrite the file", { steps: [shell("echo new > one.ts"), { text: "Done." }] });
  const { id } = await rig.begun();
  await rig.endsStored();
  expect(readFileSync(rig.path("one.ts"), "utf8")).toBe("new\n");
  const seen: string[] = [];
  await rig.executed("$shim undo", { steps: undoing((line) => shell(line), seen) }, id);
  await expectUndone(rig, id, "$shim undo");
});

it("copilot: the skill's undo of a real chat, on its screen, takes its turn back @night", async () => {
  const rig = new ClientRig(copilot);
  writeFileSync(join(rig.home, copilot.settings.file), JSON.stringify({ trusted_folders: [rig.project] }));
  await rewrites(rig);
  const { id } = await rig.begun();
  const seen: string[] = [];
  const steps = undoing((line) => ({ tools: [copilot.shell(line)] }), seen);
  const { process } = await rig.screen(copilot.slashCommand("undo", "", id), steps);
  const isUndone = (): boolean => readFileSync(rig.path("one.ts"), "utf8") === before;
  await untilFound(isUndone, () => `the files of before: ${process.output.stdout.slice(-3_000)}`);
  await expectUndone(rig, id, "/shim:undo");
  process.kill("SIGKILL");
  await process.waitForExit();
});

import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { received } from "#harness/claude/claude-rig.ts";
import type { ScriptedModel, Step } from "#harness/claude/scripted-model.ts";
import type { ChatRig } from "#harness/clients/chat-rig.ts";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig, shell } from "#harness/clients/codex-rig.ts";
import { otherClients } from "#harness/clients/real-clients.ts";
import { git } from "#harness/machine/git-project.ts";

/** Two chats change one line in two work trees, and are at their next call when both have been told. */
async function meet(
  rig: ChatRig,
  toStep: (command: string) => Step,
  start: (prompt: string, steps: readonly Step[], cwd: string) => Promise<{ readonly model: ScriptedModel }>,
): Promise<void> {
  const other = join(rig.root, "other");
  git(rig.project, "worktree", "add", "--quiet", "-b", "other", other);
  const steps = (name: string): Step[] => [
    toStep(`echo "export const ${name} = 1;" > one.ts`),
    { hold: "told", ...toStep("true") },
    { hold: "end", text: "Done." },
  ];
  const models = [
    await start("write the parser", steps("a"), rig.project),
    await start("write the lexer", steps("b"), other),
  ].map(({ model }) => model);
  for (const model of models) await model.held("told");
  await untilFound(() => rig.hasConflicts(2), "news for both");
  for (const model of models) model.release("told");
  for (const model of models) {
    await model.held("end");
    expect(received(model, -1)).toMatch(/will not merge by themselves: one\.ts \(your line 1\)\. What may help/);
    model.release("end");
  }
}

it("a Codex learns of its conflict with a chat in another work tree within its turn", async () => {
  const rig = new CodexRig();
  await meet(rig, shell, async (prompt, steps, cwd) => rig.exec(prompt, { steps, cwd }));
});

it.each(otherClients.map((client) => [client.name, client] as const))(
  "%s learns of its conflict with a chat in another work tree within its turn @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const toStep = (command: string): Step => ({ tools: [client.shell(command)] });
    await meet(rig, toStep, (prompt, steps, cwd) => rig.start(prompt, steps, null, cwd));
  },
);

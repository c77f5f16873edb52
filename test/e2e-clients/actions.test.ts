import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { received } from "#harness/claude/claude-rig.ts";
import type { ModelRequest, Step, ToolCall } from "#harness/claude/scripted-model.ts";
import { ClientRig, Deployment, fail, kill, shellWork, undoesTheTurn, written } from "#harness/clients/chat-rig.ts";
import { codexWith, gemini, opencode, otherClients, qwen, type RealClient } from "#harness/clients/real-clients.ts";
import { isRequest } from "#src/machine/sessions/work-state.ts";

const before = "export {};\n";
const clients = otherClients.map((client) => [client.name, client] as const);

it.each([
  { client: qwen, command: "/shim:undo" },
  { client: opencode, command: "--command=shim:undo" },
  { client: gemini, command: "/shim undo" },
])(
  "$client.name: the slash command undo of a real chat takes its turn back, and counts as no prompt",
  async ({ client, command: undo }) => {
    const rig = new ClientRig(client);
    await rig.run("Rewrite the file", [
      { tools: [client.read(rig.path("one.ts"))] },
      { tools: [client.edit(rig.path("one.ts"), "export {};", "export const written = true;")] },
      { text: "Done." },
    ]);
    const { id } = await rig.begun();
    expect(readFileSync(rig.path("one.ts"), "utf8")).not.toBe(before);
    let requests = 0;
    // Runs the command which the text names for the time after the user's yes.
    const undoing = ({ messages }: ModelRequest): Step => {
      const text = messages.map((one) => one.text).join("\n");
      const [, command] = /Only after a yes: `([^`]+ undo [^`]*--yes --json)`/.exec(text) ?? [];
      if (++requests > 1) return { text: "It is as before." };
      return { tools: [client.shell(command ?? fail(`no command in ${text.slice(-3_000)}`))] };
    };
    await rig.run(undo, undoing, id);
    expect(readFileSync(rig.path("one.ts"), "utf8")).toBe(before);
    const prompts = rig.stored(id).journal.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
    expect(prompts).toContain("/shim:undo");
    expect(prompts.filter(isRequest)).toEqual(["Rewrite the file"]);
  },
);

const patch = `*** Begin Patch
*** Update File: one.ts
@@
-export {};
+${written.trimEnd()}
*** End Patch`;

/** How a client rewrites a file; Codex offers its tool to models that it knows. */
const editing: readonly (readonly [string, RealClient, (path: string) => readonly ToolCall[]])[] = [
  ...otherClients.map((client) => {
    const edits = (path: string) => [client.read(path), client.edit(path, "export {};", written.trimEnd())];
    return [client.name, client, edits] as const;
  }),
  ["codex", codexWith("gpt-5.5"), () => [{ name: "apply_patch", input: { input: patch } }]],
];

it.each(editing)(
  "%s: the edits and commands of a real turn are taken back, and that is taken back",
  async (_name, client, edits) => {
    const rig = new ClientRig(client);
    const calls = [...edits(rig.path("one.ts")), client.shell(shellWork)];
    await rig.run("Rewrite the files", [...calls.map((call) => ({ tools: [call] })), { text: "Done." }]);
    undoesTheTurn(rig);
  },
);

it.each(clients)(
  "%s: after a kill a done deployment is refused with the reason, and runs after the user's next prompt",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const deployment = new Deployment(rig);
    const deploy = { tools: [client.shell(deployment.command)] };
    await kill(await rig.atTool("deploy it", [deploy]));
    expect(deployment.runs).toBe(1);
    const refused = await rig.run("continue", [deploy, deploy, { text: "It is done already." }]);
    expect(deployment.runs).toBe(1);
    expect(received(refused.model, -1)).toContain("SHIM: done already");
    // Qwen Code ignores calls with the ids of earlier ones, which the stand-in counts from one again.
    const before = { tools: [client.shell("echo one")] };
    const steps = [before, before, deploy, { text: "Deployed." }];
    await rig.run("yes, deploy it again", steps, rig.sessions().at(-1)?.id ?? null);
    expect(deployment.runs).toBe(2);
  },
);

import { expect, it } from "vitest";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig, shell } from "#harness/clients/codex-rig.ts";
import { otherClients } from "#harness/clients/real-clients.ts";
import { shellWork, undoesTheTurn, written } from "#harness/clients/undo-flow.ts";

it.each(otherClients.map((client) => [client.name, client] as const))(
  "%s: the edits and commands of a real turn are taken back, and that is taken back",
  async (_name, client) => {
    const rig = new ClientRig(client);
    await rig.run("Rewrite the files", [
      { tools: [client.read(rig.path("one.ts"))] },
      { tools: [client.edit(rig.path("one.ts"), "export {};", written.trimEnd())] },
      { tools: [client.shell(shellWork)] },
      { text: "Done." },
    ]);
    undoesTheTurn(rig);
  },
);

it("codex: the patches and commands of a real turn are taken back, and that is taken back", async () => {
  const rig = new CodexRig();
  const patch = `*** Begin Patch
*** Update File: one.ts
@@
-export {};
+${written.trimEnd()}
*** End Patch`;
  const { model } = await rig.executed("Rewrite the files", {
    modelName: "gpt-5.5",
    steps: [{ tools: [{ name: "apply_patch", input: { input: patch } }] }, shell(shellWork), { text: "Done." }],
  });
  expect(model.requests.length).toBeGreaterThan(2);
  undoesTheTurn(rig);
});

import { expect, it } from "vitest";
import type { ScriptedModel } from "#harness/claude/scripted-model.ts";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig, shimTool } from "#harness/clients/codex-rig.ts";
import { qwen, type RealClient } from "#harness/clients/real-clients.ts";

/** Run without the flag or setting that approves everything: without a user each question is a no. */
const asking: readonly RealClient[] = [
  { ...qwen, command: (prompt, session) => qwen.command(prompt, session).filter((word) => word !== "--yolo") },
];

const save = { goal: "the parser accepts empty input" };
const deletion = { scope: "notices", confirm: "yes, delete" };

/** What the conversation says of the two calls. */
function outcomes(model: ScriptedModel, shown: unknown): Record<string, boolean> {
  const last = model.requests.findLast(({ kind }) => kind === "loop")?.body;
  const text = JSON.stringify([last?.["messages"], last?.["input"], shown]);
  return {
    isSaved: /checkpoint\W+cp_|Saved cp_/.test(text),
    isRefused: /permission was declined|permission requested|requires approval/.test(text),
    isDeleted: text.includes("Deleted 0"),
  };
}

const asked = { isSaved: true, isRefused: true, isDeleted: false };

it.each(asking.map((client) => [client.name, client] as const))(
  "%s saves by SHIM's tool without a question, and asks before the one that deletes @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const { model, process } = await rig.run("Save, and delete", [
      { tools: [client.ofShim("shim_force_checkpoint", save)] },
      { tools: [client.ofShim("shim_clear_state", deletion)] },
      { text: "done" },
    ]);
    expect(outcomes(model, process.output)).toEqual(asked);
  },
);

it("Codex needs no rule: by their annotations it asks before the tool that deletes alone @night", async () => {
  const rig = new CodexRig();
  const steps = [shimTool("shim_force_checkpoint", save), shimTool("shim_clear_state", deletion), { text: "done" }];
  // Codex begins without a server that is not yet connected, unless it is required.
  const settings = ['approval_policy="on-request"', 'sandbox_mode="read-only"', "mcp_servers.shim.required=true"];
  const { model, codex } = await rig.executed("Save, and delete", { steps, settings });
  expect(outcomes(model, codex.output)).toEqual(asked);
});

import { expect, it } from "vitest";
import { callsOfSave, guidanceIn } from "../../../bench/restore/desktop-model.ts";
import { connect, desktop, type Connected } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

async function guidanceFor({ client }: Connected) {
  const { tools } = await client.listTools();
  return guidanceIn(JSON.stringify({ instructions: client.getInstructions(), tools }));
}

const turn = { prompt: "Write the importer. Never use the network.", reply: "I take csv; next I read the file." };

it("the scripted model gives what the server's texts ask for: to Claude Desktop the user's words and files", async () => {
  const guidance = await guidanceFor(await desktop(tempRuntime()));
  const asked = Object.entries(guidance).filter(([, isAsked]) => isAsked);
  const expected = ["startsChats", "passesSession", "passesUser", "savesSteps", "savesFiles"];
  expect(asked.map(([name]) => name)).toEqual(expected);
  expect(callsOfSave(guidance, [turn], ["/p/a.ts"])).toEqual([
    { name: "shim_auto_checkpoint", input: { user: [turn.prompt], doing: turn.reply } },
    { name: "shim_force_checkpoint", input: { files: ["/p/a.ts"] } },
  ]);
});

it("where the texts do not ask for it, it gives neither the user's words nor files", async () => {
  const guidance = await guidanceFor(await connect(tempRuntime()));
  expect(guidance).toMatchObject({ passesUser: false, startsChats: false, savesFiles: false });
  expect(callsOfSave(guidance, [turn], ["/p/a.ts"])).toEqual([
    { name: "shim_auto_checkpoint", input: { doing: turn.reply } },
  ]);
});

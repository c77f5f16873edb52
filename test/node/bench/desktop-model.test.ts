import { expect, it } from "vitest";
import { callsOfSave, guidanceIn, knownAfter, nothingKnown } from "../../../bench/restore/desktop-model.ts";
import { connect, desktop, type Connected } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

async function guidanceFor({ client }: Connected) {
  const { tools } = await client.listTools();
  return guidanceIn(JSON.stringify({ instructions: client.getInstructions(), tools }));
}

const turn = {
  prompt: "Write the importer. Never use the network.",
  sentences: [
    { means: "goal", text: "Write the importer." },
    { means: "ban", text: "Never use the network." },
    { means: "ownDecision", text: "I take csv." },
    { means: "next", text: "Next I read the file." },
  ],
  errors: ["E_1 in a"],
} as const;

it("the scripted model gives what the server's texts ask for: to Claude Desktop the user's words and errors", async () => {
  const guidance = await guidanceFor(await desktop(tempRuntime()));
  const asked = Object.entries(guidance).filter(([, isAsked]) => isAsked);
  const ofSaving = ["savesSteps", "savesDecisions", "savesRules", "savesErrors"];
  const expected = ["startsChats", "passesSession", "passesUser", ...ofSaving];
  expect(asked.map(([name]) => name)).toEqual(expected);
  const known = knownAfter(nothingKnown, turn);
  const calls = callsOfSave(guidance, { before: nothingKnown, known, turns: [turn], files: ["/p/a.ts"] });
  expect(calls.map(({ name }) => name)).toEqual(["shim_auto_checkpoint", "shim_force_checkpoint"]);
  expect(calls[0]?.input).toMatchObject({ user: [turn.prompt], next: "Next I read the file." });
  expect(calls[1]?.input).toMatchObject({ state: { error: "E_1 in a" }, files: ["/p/a.ts"] });
});

it("where the texts do not ask for it, it gives neither the user's words nor errors", async () => {
  const guidance = await guidanceFor(await connect(tempRuntime()));
  expect(guidance).toMatchObject({ passesUser: false, startsChats: false, savesErrors: false });
  const known = knownAfter(nothingKnown, turn);
  const calls = callsOfSave(guidance, { before: nothingKnown, known, turns: [turn], files: [] });
  expect(JSON.stringify(calls)).not.toMatch(/Never use the network|E_1/);
});

it("a step that is done is not the next one, and nothing new makes no note", () => {
  const done = { prompt: "ok", sentences: [{ means: "done", text: "The file is read." }], errors: [] } as const;
  expect(knownAfter(knownAfter(nothingKnown, turn), done)).toMatchObject({ goal: "Write the importer.", next: null });
});

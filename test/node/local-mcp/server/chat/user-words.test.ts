import { expect, it } from "vitest";
import { emptyState } from "#src/local-mcp/sessions/work-state.ts";
import { aChat, stateOf, storedSession } from "#harness/machine/claude.ts";
import { connect, desktop } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function texts(all: readonly { readonly text: string }[] = []): string[] {
  return all.map(({ text }) => text);
}

it("[MC28] the user's words that a chat without hooks passes count like prompts: goal, rules and decisions, each once", async () => {
  const runtime = tempRuntime();
  const { ask } = await desktop(runtime);
  const words = ["Please write the importer. Never use the network.", "Let's use csv for the format."];
  const saved = await ask("shim_auto_checkpoint", { user: words, next: "read the file" });
  expect(saved.output).toMatchObject({ saved: true, reason: "on_demand" });
  const id = String(saved.output["session"]);
  const { requests, orders, decided, nextStep } = stateOf(runtime, id) ?? emptyState;
  expect([texts(requests), nextStep]).toEqual([words, "read the file"]);
  expect([texts(orders), texts(decided)]).toEqual([["Never use the network."], ["Let's use csv for the format."]]);
  const again = await ask("shim_auto_checkpoint", { user: [words[1], " ", "Now add tests for the importer."] });
  expect(again.output).toMatchObject({ saved: true });
  const later = stateOf(runtime, id) ?? emptyState;
  expect([later.requests?.length, later.nextStep]).toEqual([3, null]);
  expect(storedSession(runtime, id).title).toBe(words[0]);
  expect((await ask("shim_auto_checkpoint", { user: words })).output).toMatchObject({ saved: false });
});

it("[MC28] words that hooks have seen themselves are not recorded a second time", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const { ask } = await connect(runtime, { clientPid: claude.pid });
  await ask("shim_auto_checkpoint", { user: ["fix the parser, please"], doing: "it" });
  expect(stateOf(runtime, claude.session)?.requests?.map(({ text }) => text)).toEqual(["fix the parser"]);
});

it("[MC28] a rule that the model passes as a decision, in the same words as the user, is kept once", async () => {
  const runtime = tempRuntime();
  const { ask } = await desktop(runtime);
  const { output } = await ask("shim_auto_checkpoint", { user: ["Write the importer. Never use the network."] });
  await ask("shim_force_checkpoint", { decisions: ["Never use the network.", "I take csv."] });
  const { orders, decided } = stateOf(runtime, String(output["session"])) ?? emptyState;
  expect([texts(orders), texts(decided)]).toEqual([["Never use the network."], ["I take csv."]]);
});

import { expect, it } from "vitest";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import { aChat, stateOf, storedSession } from "#harness/machine/claude.ts";
import { connect, desktop } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

function prompts(runtime: TempRuntime, id: string): string[] {
  return (stateOf(runtime, id) ?? emptyState).prompts.map(({ text }) => text);
}

it("the user's words that a chat without hooks passes count like prompts, each once", async () => {
  const runtime = tempRuntime();
  const { ask } = await desktop(runtime);
  const words = ["Please write the importer. Never use the network.", "Let's use csv for the format."];
  const saved = await ask("shim_auto_checkpoint", { user: words, next: "read the file" });
  expect(saved.output).toMatchObject({ saved: true, reason: "on_demand" });
  const id = String(saved.output["session"]);
  expect([prompts(runtime, id), stateOf(runtime, id)?.nextStep]).toEqual([words, "read the file"]);
  const again = await ask("shim_auto_checkpoint", { user: [words[1], " ", "Now add tests for the importer."] });
  expect(again.output).toMatchObject({ saved: true });
  expect(prompts(runtime, id)).toEqual([...words, "Now add tests for the importer."]);
  expect(storedSession(runtime, id).title).toBe(words[0]);
  expect((await ask("shim_auto_checkpoint", { user: words })).output).toMatchObject({ saved: false });
});

it("words that hooks have seen themselves are not recorded a second time", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const { ask } = await connect(runtime, { clientPid: claude.pid });
  await ask("shim_auto_checkpoint", { user: ["fix the parser, please"], doing: "it" });
  expect(prompts(runtime, claude.session)).toEqual(["fix the parser"]);
});

import { expect, it } from "vitest";
import { catchUp } from "#src/machine/transcripts/record-transcript.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { aLiveClaude, journalKinds, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aUserLine } from "#harness/machine/transcripts.ts";

it("a prompt that the model got in its turn is taken from the transcript, and once where its event came too", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const row = (prompt: string): string => {
    const attachment = { type: "queued_command", prompt, commandMode: "prompt" };
    return JSON.stringify({
      type: "attachment",
      attachment,
      uuid: prompt,
      timestamp: new Date(runtime.now()).toISOString(),
    });
  };
  runtime.wait(60_000);
  claude.transcribe(row("also the tests"));
  claude.use("Bash", { command: "ls" });
  claude.prompt("and the docs");
  claude.transcribe(row("and the docs"));
  claude.use("Bash", { command: "ls docs" });
  claude.transcribe(row("then commit"));
  claude.prompt("then commit");
  claude.use("Bash", { command: "git status" });
  const prompts = runtime.store.read((sql) => journal.newest(sql, claude.session, ["prompt"], 9), []);
  expect(prompts.map(({ entry }) => entry.kind === "prompt" && entry.text).toReversed()).toEqual([
    "rename it",
    "also the tests",
    "and the docs",
    "then commit",
  ]);
});

it("the words of a refusal are a prompt once, before the answer to them, and also where they are the chat's last row", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const refusal =
    "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, the user said:\n";
  const refuse = (words: string): void => {
    const id = claude.begin("Edit", { file_path: "/nonexistent/project/a.ts" });
    runtime.wait(5_000);
    claude.transcribe(
      aToolResultLine(id, `${refusal}${words}`, true, { timestamp: new Date(runtime.now()).toISOString() }),
    );
  };
  refuse("not this file");
  const timestamp = new Date(runtime.now() + 10).toISOString();
  claude.transcribe(anAssistantLine({ content: [{ type: "text", text: "I leave it as it is." }] }, { timestamp }));
  claude.stop("I leave it as it is.");
  claude.prompt("go on");
  refuse("only the tests");
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(stateOf(runtime, claude.session)?.prompts.map(({ text }) => text)).toEqual([
    "rename it",
    "not this file",
    "go on",
    "only the tests",
  ]);
  const kinds = journalKinds(runtime, claude.session);
  expect(kinds.filter((kind) => kind === "assistant")).toHaveLength(1);
  expect(kinds.filter((kind) => kind === "turn_end")).toHaveLength(1);
});

it("an interruption is taken from the transcript with the next prompt, and by the reading after a death", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const stop = (): number => {
    runtime.wait(5_000);
    const at = runtime.now();
    const timestamp = new Date(at).toISOString();
    claude.transcribe(aUserLine("[Request interrupted by user for tool use]", { timestamp }));
    return at;
  };
  claude.begin("Bash", { command: "make" });
  const first = stop();
  runtime.wait(5_000);
  claude.prompt("only the tests");
  expect(stateOf(runtime, claude.session)).toMatchObject({ interruptedAt: first, runningTools: [] });
  claude.begin("Bash", { command: "make test" });
  const second = stop();
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(stateOf(runtime, claude.session)).toMatchObject({ interruptedAt: second, runningTools: [] });
  const kinds = journalKinds(runtime, claude.session);
  expect(kinds.filter((kind) => kind === "interrupted")).toHaveLength(2);
});

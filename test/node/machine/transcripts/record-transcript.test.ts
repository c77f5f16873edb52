import * as journal from "#src/machine/sessions/journal.ts";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/transcripts/record-transcript.ts";
import { aLiveClaude, journalKinds, stateOf, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aUserLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";
import { appendFileSync, mkdirSync, writeFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readInSteps } from "#src/machine/signals/observe.ts";

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

const written = { timestamp: "2030-01-01T00:00:00.000Z", isSidechain: true, agentId: "a1" };

/** A chat with a sub-agent in the background. */
function aChatWithSubagent() {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  writeFileSync(claude.transcript, "");
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(file), { recursive: true });
  const calls = (...ids: string[]): void => {
    for (const id of ids) {
      const use = aToolUse(id, "Write", { file_path: `${claude.cwd}/${id}.ts` });
      const lines = [anAssistantLine({ content: [use], stop_reason: "tool_use" }, written)];
      appendFileSync(file, aTranscript(...lines, aToolResultLine(id, "ok", false, written)));
    }
  };
  const names = (): string[] =>
    runtime.store
      .read((sql) => journal.list(sql, claude.session, 0), [])
      .flatMap(({ entry }) => (entry.kind === "tool_end" ? [`${entry.id}: ${entry.name}`] : []));
  return { runtime, claude, calls, names };
}

it("a sub-agent's calls without events are read with the next prompt, once, and count in the message", () => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  const fields = { tool_name: "Write", tool_use_id: "one", tool_input: {}, agent_id: "a1", agent_type: "general" };
  for (const event of ["PreToolUse", "PostToolUse"] as const) claude.tell(event, fields);
  calls("one", "two", "three");
  expect(claude.prompt("go on").systemMessage).toContain("2 tool calls did not reach the MCP process");
  claude.tell("PostToolUse", { ...fields, tool_use_id: "two" });
  expect(claude.prompt("and now?").systemMessage).toBeUndefined();
  expect(names()).toEqual(["one", "two", "three"].map((id) => `${id}: Write (subagent)`));
  expect(storedSession(runtime, claude.session).toolCalls).toBe(3);
  expect(stateOf(runtime, claude.session)?.files).toContainEqual(expect.objectContaining({ action: "edited" }));
});

it.each([true, false])("after a death a sub-agent's calls are read; new words of the chat: %s", (isNew) => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  calls("one");
  if (isNew) claude.transcribe(anAssistantLine({}, { timestamp: written.timestamp }));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(names()).toEqual(["one: Write (subagent)"]);
});

it("a transcript that has grown by much is read in steps, between which others have their turns, and nothing is left out", async () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  claude.prompt("begin");
  const said = Array.from({ length: 90 }, (_, n) => `answer ${n} ${"word ".repeat(2_000)}`);
  writeFileSync(
    claude.transcript,
    aTranscript(...said.map((text) => anAssistantLine({ content: [{ type: "text", text }] }))),
  );
  const turns = { count: 0, isOver: false };
  const take = (): void => {
    turns.count += 1;
    if (!turns.isOver) setImmediate(take);
  };
  setImmediate(take);
  await readInSteps(runtime, claude.session);
  turns.isOver = true;
  expect(turns.count).toBeGreaterThan(10);
  const { transcriptOffset } = storedSession(runtime, claude.session);
  expect(statSync(claude.transcript).size - transcriptOffset).toBeLessThan(65_537);
  const texts = runtime.store
    .read((sql) => journal.list(sql, claude.session, 0), [])
    .flatMap(({ entry }) => (entry.kind === "assistant" ? [entry.text.split(" ")[1]] : []));
  expect(texts).toEqual(said.slice(0, texts.length).map((_, n) => String(n)));
  expect(texts.length).toBeGreaterThan(80);
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import { timerTrigger } from "#src/learning/policy/risk.ts";
import { observe, refresh } from "#src/machine/signals/observe.ts";
import { recordTranscript, catchUp } from "#src/machine/transcripts/record-transcript.ts";
import { listSamples } from "#harness/machine/crashes.ts";
import { readAppended } from "#src/clients/transcript.ts";
import { aLiveClaude, rowCount, storedSession, journalKinds, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime, T0 } from "#harness/machine/temp-runtime.ts";
import { aUserLine, anAssistantLine, aToolResultLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";

const usage = { input_tokens: 90_000, cache_read_input_tokens: 60_000, output_tokens: 10_000 };

it("each event brings the readings up to date: tools, errors, age, and of the transcript the context", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  claude.transcribe(anAssistantLine({ usage }));
  for (let call = 0; call < 4; call++) claude.use("Bash", { command: "ls" });
  claude.fail("Bash", { command: "make" }, "Exit code 2");
  const { readings, model, transcriptOffset } = storedSession(runtime, claude.session);
  expect(readings).toMatchObject({
    toolCalls: { value: 5, source: "measured" },
    toolErrors: { value: 0.2 },
    contextTokens: { value: 160_000, source: "measured" },
    clientMemoryBytes: { value: 200_000_000 },
  });
  expect(model).toBe("claude-opus-5-5");
  expect(transcriptOffset).toBe(readAppended(claude.transcript, 0).size);
  expect(rowCount(runtime, "signals")).toBeGreaterThan(0);
});

it("a text that is read from the transcript after the end of its turn stands before the last words", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "fix the parser");
  const before = new Date(runtime.now()).toISOString();
  runtime.wait(5_000);
  claude.use("Bash", { command: "npm test" });
  claude.stop("The parser is fixed, and 12 tests pass.");
  const early = "Next I will rewrite the lexer from scratch.";
  claude.transcribe(anAssistantLine({ content: [{ type: "text", text: early }] }, { timestamp: before }));
  runtime.wait(1_000);
  claude.prompt("thanks");
  claude.stop("You are welcome.");
  const state = stateOf(runtime, claude.session);
  const words = [early, "The parser is fixed, and 12 tests pass.", "You are welcome."];
  expect(state?.words.map(({ text }) => text)).toEqual(words);
});

it("a figure that the chat reports counts where nothing is measured, and is kept in the history with its risk", () => {
  const runtime = tempRuntime({ config: { risk: { weights: { memory: 0, sinceCheckpoint: 0 } } } });
  const claude = aLiveClaude(runtime);
  const session = storedSession(runtime, claude.session);
  const fresh = { contextFill: { value: 0.9, source: "reported", at: runtime.now() } } as const;
  const seen = runtime.store.write((sql) => observe(sql, runtime, session, null, fresh));
  expect(seen.risk).toMatchObject({ score: 0.3, level: "warning", reasons: [{ name: "contextFill" }] });
  expect(seen.facts).toMatchObject({ isRiskPending: true });
  expect(runtime.store.read((sql) => listSamples(sql, claude.session), [])[0]).toMatchObject({ level: "warning" });
});

it("what another process has written to the session meanwhile is not lost", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  const old = storedSession(runtime, claude.session);
  claude.use("Bash");
  runtime.store.write((sql) => observe(sql, runtime, old));
  expect(storedSession(runtime, claude.session)).toMatchObject({ toolCalls: 1, readings: { toolCalls: { value: 1 } } });
});

it("a compaction makes what was read of the context void", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  claude.transcribe(anAssistantLine({ usage }));
  claude.use("Bash");
  expect(storedSession(runtime, claude.session).readings.contextTokens?.value).toBe(160_000);
  claude.compact("A summary.");
  expect(storedSession(runtime, claude.session).readings.contextTokens).toBeUndefined();
});

it("of the transcript only the assistant's words are kept: prompts come from the hooks, with their ids", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  const path = join(claude.cwd, "other.jsonl");
  const words = ["one", "one", " ", "two"].map((text) => anAssistantLine({ content: [{ type: "text", text }] }));
  writeFileSync(path, aTranscript(aUserLine("a prompt"), ...words));
  const session = storedSession(runtime, claude.session);
  runtime.store.write((sql) => recordTranscript(sql, session, readAppended(path, 0), runtime.now()));
  const entries = runtime.store.read((sql) => journal.newest(sql, claude.session, ["prompt", "assistant"], 9), []);
  expect(entries.map(({ entry }) => ("text" in entry ? entry.text : ""))).toEqual(["two", "one", "fix it"]);
});

it("the timer finds a checkpoint due by count and time", () => {
  const runtime = tempRuntime({ config: { checkpoint: { everyToolCalls: 2 } } });
  const claude = aLiveClaude(runtime);
  const look = (): unknown => {
    const session = storedSession(runtime, claude.session);
    const { facts } = runtime.store.write((sql) => observe(sql, runtime, session));
    return timerTrigger(facts, runtime.config.checkpoint);
  };
  expect(look()).toBe("time");
  claude.use("Bash");
  expect(look()).toBeNull();
  for (let call = 0; call < 2; call++) {
    runtime.store.write((sql) => {
      const entry = { kind: "tool_end", id: `t${call}`, name: "Bash", input: "" } as const;
      journal.append(sql, claude.session, runtime.now(), `end:t${call}`, entry);
    });
  }
  expect(look()).toBe("tools");
  claude.stop();
  claude.prompt("more");
  runtime.wait(300_001);
  expect(look()).toBe("time");
  expect(storedSession(runtime, claude.session).readings.sinceCheckpointMs?.value).toBeGreaterThan(300_000);
});

function aChat() {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "Make the parser accept empty input");
  writeFileSync(claude.transcript, "");
  const tools = (): string[] => journalKinds(runtime, claude.session).filter((kind) => kind.startsWith("tool_"));
  return {
    runtime,
    claude,
    tools,
    write: (...lines: string[]) => claude.transcribe(...lines),
    stored: () => storedSession(runtime, claude.session),
    state: () => stateOf(runtime, claude.session),
    readOn: () => runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session)),
  };
}

/** After the start of the chat. */
const written = { timestamp: "2030-01-01T00:00:00.000Z" };
const use = (id: string, name: string, input: object): string =>
  anAssistantLine({ content: [aToolUse(id, name, input)] }, written);
const result = (id: string, content: string, isError: boolean): string =>
  aToolResultLine(id, content, isError, written);

it("tool calls whose events never came are read from the transcript, and the user is notified once", () => {
  const { claude, write, tools, stored, state } = aChat();
  const file = `${claude.cwd}/parser.ts`;
  write(use("toolu_a", "Edit", { file_path: file }), result("toolu_a", "ok", false));
  write(use("toolu_b", "Bash", { command: "npm test" }), result("toolu_b", "Exit code 1", true));
  write(use("toolu_c", "Bash", { command: "npm run build" }), result("toolu_c", "ok", false));
  expect(claude.prompt("and now the lexer").systemMessage).toContain("2 tool calls did not reach the MCP process");
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
  const starts = ["tool_start", "tool_start", "tool_start"];
  expect(tools()).toEqual([...starts, "tool_end", "tool_error", "tool_end"]);
  expect(stored()).toMatchObject({ toolCalls: 3, toolErrors: 1 });
  expect(state()).toMatchObject({ files: [{ path: file, action: "edited" }], runningTools: [] });
});

it("an event that comes after all, or came before, counts once, and is not reported to the user", () => {
  const { claude, write, tools, stored } = aChat();
  const id = claude.begin("Bash", { command: "echo one" });
  write(use(id, "Bash", { command: "echo one" }));
  write(use("toolu_late", "Bash", { command: "echo two" }));
  claude.done(id, "Bash", { command: "echo one" });
  claude.tell("PreToolUse", { tool_name: "Bash", tool_use_id: "toolu_late", tool_input: { command: "echo two" } });
  write(result(id, "one", false), result("toolu_late", "two", false));
  claude.done("toolu_late", "Bash", { command: "echo two" });
  expect(claude.prompt("next").systemMessage).toBeUndefined();
  expect(tools()).toHaveLength(4);
  expect(stored()).toMatchObject({ toolCalls: 2, toolErrors: 0 });
});

it("a call whose start came by its event and whose end did not runs no more", () => {
  const { claude, write, state, readOn } = aChat();
  const file = { file_path: `${claude.cwd}/new.ts` };
  const id = claude.begin("Write", file);
  write(use(id, "Write", file));
  claude.tell("Notification", { message: "waits" });
  write(result(id, "ok", false));
  readOn();
  expect(state()).toMatchObject({ runningTools: [], files: [{ action: "edited" }] });
});

it("a call that the user denied, or the guard refused, ends as an error and is not reported as missed", () => {
  const { claude, write, tools } = aChat();
  write(use("toolu_x", "Edit", { file_path: `${claude.cwd}/a.ts` }), result("toolu_x", "denied", true));
  expect(claude.prompt("why?").systemMessage).toBeUndefined();
  expect(tools()).toContain("tool_error");
});

it("a tool that the client killed at its end, and then called failed, counts as running when the session died", () => {
  for (const end of ["the hook", "the server"]) {
    const { claude, write, tools, stored, state, readOn } = aChat();
    const id = claude.begin("Bash", { command: "sleep 600" });
    write(use(id, "Bash", { command: "sleep 600" }), result(id, "Exit code 137", true));
    if (end === "the hook") claude.tell("SessionEnd", { reason: "other" });
    else readOn();
    expect([state()?.runningTools.length, tools(), stored().toolErrors]).toEqual([1, ["tool_start"], 0]);
  }
});

it("a failure after which the chat continued is one, also when it is read at the end", () => {
  const { claude, write, tools } = aChat();
  const id = claude.begin("Bash", { command: "npm test" });
  write(use(id, "Bash", { command: "npm test" }), result(id, "Exit code 1", true));
  write(anAssistantLine({ id: "msg_2" }, { timestamp: "2030-01-01T00:00:01.000Z" }));
  claude.tell("SessionEnd", { reason: "other" });
  expect(tools()).toContain("tool_error");
});

it("the calls that a fork has copied from the session before are not its own", () => {
  const { claude, write, tools, stored } = aChat();
  const earlier = { timestamp: new Date(T0 - 60_000).toISOString() };
  write(anAssistantLine({ content: [aToolUse("toolu_old", "Bash", { command: "sleep 600" })] }, earlier));
  write(aToolResultLine("toolu_old", "[Tool call interrupted]", true, earlier));
  claude.stop();
  claude.tell("SessionEnd", { reason: "prompt_input_exit" });
  expect(tools()).toEqual([]);
  expect(stored()).toMatchObject({ toolCalls: 0, toolErrors: 0 });
});

const words = (text: string, second: number, stop_reason = "end_turn"): string =>
  anAssistantLine(
    { content: [{ type: "text", text }], stop_reason },
    { timestamp: `2030-01-01T00:00:0${second}.000Z` },
  );

function aChatWithoutEvents() {
  const chat = aChat();
  chat.runtime.wait(Date.parse("2030-01-01") - chat.runtime.now());
  const kinds = (): string[] => journalKinds(chat.runtime, chat.claude.session).slice(2);
  return { ...chat, kinds };
}

it("ends of turns whose events never came are read from the transcript, each with the next prompt", () => {
  const { claude, runtime, write, kinds, readOn, state } = aChatWithoutEvents();
  claude.prompt("write the parser");
  write(use("toolu_a", "Bash", { command: "npm test" }), words("The parser is written.", 1));
  runtime.wait(2_000);
  claude.prompt("write the lexer");
  // An interrupted turn has no end.
  claude.prompt("write the printer");
  write(words("The printer is written.", 3));
  runtime.wait(2_000);
  readOn();
  const first = ["assistant", "tool_start", "turn_end", "prompt"];
  expect(kinds()).toEqual(["prompt", ...first, "prompt", "assistant", "turn_end"]);
  expect(state()?.turnEndedAt).toBe(Date.parse("2030-01-01T00:00:03.000Z"));
});

it("the end of a turn counts once, also when its event comes after all, and never takes that event's place", () => {
  const { claude, runtime, write, kinds, readOn } = aChatWithoutEvents();
  claude.prompt("write the parser");
  write(words("I test it.", 1, "tool_use"), words("It is written. \n", 2));
  runtime.wait(3_000);
  claude.begin("Bash", { command: "a call of a sub-agent, say" });
  expect(kinds()).not.toContain("turn_end");
  for (const tell of [readOn, () => claude.stop("It is written."), () => claude.end()]) tell();
  expect(kinds()).toEqual(["prompt", "assistant", "assistant", "tool_start", "turn_end", "end"]);
});

it("the end of a turn is found where a timer has read its line before", () => {
  for (const closing of ["the next prompt", "the end"]) {
    const { claude, runtime, write, kinds, stored } = aChatWithoutEvents();
    claude.prompt("write the parser");
    write(words("It is written.", 1));
    runtime.wait(2_000);
    refresh(runtime, stored(), {});
    expect(kinds()).toEqual(["prompt", "assistant"]);
    if (closing === "the end") claude.end();
    else claude.prompt("write the lexer");
    expect(kinds()[2]).toBe("turn_end");
  }
});

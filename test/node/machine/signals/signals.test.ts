import * as fc from "fast-check";
import { expect, it } from "vitest";
import { observe } from "#src/machine/sessions/signals/observe.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { listSamples, someReadings, tempRuntime, T0 } from "#harness/machine/temp-runtime.ts";
import { readAppended } from "#src/clients/transcript.ts";
import { aChatAtWork, aLiveClaude, rowCount, storedSession, journalKinds, stateOf } from "#harness/machine/claude.ts";
import { anApiErrorLine, anAssistantLine, aRetryLine, aToolResultLine } from "#harness/machine/transcripts.ts";
import { aToolUse } from "#harness/machine/transcripts.ts";
import { assess } from "#src/machine/sessions/signals/risk.ts";
import type { CrashCause } from "#src/contract/readings.ts";
import { inferCause, record, type Evidence } from "#src/machine/sessions/signals/crashes.ts";
import { parse, effectiveWindow } from "#src/machine/sessions/signals/context-readings.ts";

const usage = { input_tokens: 90_000, cache_read_input_tokens: 60_000, output_tokens: 10_000 };

it("each event brings the readings up to date: tools, errors, age, and of the transcript the context", () => {
  const { runtime, claude } = aChatAtWork();
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

it("a figure that the chat reports counts where nothing is measured, and is kept in the history with its risk", () => {
  const runtime = tempRuntime({ config: { risk: { thresholds: { memory: 1, sinceCheckpointMs: 1e12 } } } });
  const claude = aLiveClaude(runtime);
  const session = storedSession(runtime, claude.session);
  const fresh = { contextFill: { value: 0.9, source: "reported", at: runtime.now() } } as const;
  const seen = runtime.store.write((sql) => observe(sql, runtime, session, null, fresh));
  expect(seen.risk).toMatchObject({ score: 0.3, level: "warning", reasons: [{ name: "contextFill" }] });
  expect(seen.facts).toMatchObject({ isRiskPending: true });
  expect(runtime.store.read((sql) => listSamples(sql, claude.session), [])[0]).toMatchObject({ level: "warning" });
});

it("of the samples that are older than an hour the worst of each quarter of an hour stays", () => {
  const { store } = tempRuntime();
  const quarter = T0 - (T0 % 900_000);
  const scores = [0, 0.9, 0.5, 0.3, 0, 0.2];
  for (const [at, score] of scores.entries()) {
    const minute = [0, 3, 6, 15, 74, 76][at] ?? 0;
    store.write((sql) => record(sql, quarter + minute * 60_000, "s", {}, { score, level: "safe", reasons: [] }));
  }
  expect(store.read((sql) => listSamples(sql, "s"), []).map(({ score }) => score)).toEqual([0.2, 0, 0.3, 0.9]);
});

function aChat() {
  const { runtime, claude } = aChatAtWork("Make the parser accept empty input");
  claude.transcribe();
  const write = (...lines: string[]): void => claude.transcribe(...lines);
  const kinds = (): string[] => journalKinds(runtime, claude.session).slice(2);
  const tools = (): string[] => kinds().filter((kind) => kind.startsWith("tool_"));
  const stored = () => storedSession(runtime, claude.session);
  const state = () => stateOf(runtime, claude.session);
  const readOn = () => runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  return { runtime, claude, write, kinds, tools, stored, state, readOn };
}

/** After the start of the chat. */
const written = { timestamp: "2030-01-01T00:00:00.000Z" };
const use = (id: string, name: string, input: object): string =>
  anAssistantLine({ content: [aToolUse(id, name, input)] }, written);
const result = (id: string, content: string, fails: boolean): string => aToolResultLine(id, content, fails, written);

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
  expect(state()).toMatchObject({ files: [{ path: file, action: "edited" }], life: { calls: [] } });
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
  expect(state()).toMatchObject({ life: { calls: [] }, files: [{ action: "edited" }] });
});

it("a tool that the client killed at its end, and then called failed, counts as running when the session died", () => {
  for (const end of ["the hook", "the server"]) {
    const { claude, write, tools, stored, state, readOn } = aChat();
    const id = claude.begin("Bash", { command: "sleep 600" });
    write(use(id, "Bash", { command: "sleep 600" }), result(id, "Exit code 137", true));
    if (end === "the hook") claude.tell("SessionEnd", { reason: "other" });
    else readOn();
    expect([state()?.life.calls.length, tools(), stored().toolErrors]).toEqual([1, ["tool_start"], 0]);
  }
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

function words(text: string, second: number, stop_reason: string | null = "end_turn"): string {
  const timestamp = `2030-01-01T00:00:0${second}.000Z`;
  return anAssistantLine({ content: [{ type: "text", text }], stop_reason }, { timestamp });
}

function aChatWithoutEvents() {
  const chat = aChat();
  chat.runtime.wait(Date.parse("2030-01-01") - chat.runtime.now());
  return chat;
}

it("ends of turns whose events never came are read from the transcript, each with the next prompt", () => {
  const { claude, runtime, write, kinds, readOn, state } = aChatWithoutEvents();
  claude.prompt("write the parser");
  write(use("toolu_a", "Bash", { command: "npm test" }), words("The parser is written.", 1));
  runtime.wait(2_000);
  claude.prompt("write the lexer");
  // An interrupted turn has no end.
  claude.prompt("write the printer");
  // As older versions write it.
  const over = JSON.stringify({ type: "system", subtype: "turn_duration", timestamp: "2030-01-01T00:00:04.000Z" });
  write(words("The printer is written.", 3, null), over);
  runtime.wait(3_000);
  readOn();
  const first = ["assistant", "tool_start", "turn_end", "prompt"];
  expect(kinds()).toEqual(["prompt", ...first, "prompt", "assistant", "turn_end"]);
  expect(state()?.life.turn?.over?.at).toBe(Date.parse("2030-01-01T00:00:04.000Z"));
});

it("the end of a turn counts once, also when its event comes after all, and never hides that event", () => {
  const { claude, runtime, write, kinds, readOn } = aChatWithoutEvents();
  claude.prompt("write the parser");
  write(words("I test it.", 1, "tool_use"), words("It is written. \n", 2));
  runtime.wait(3_000);
  claude.tell("PreToolUse", { tool_name: "Bash", tool_use_id: "t", agent_id: "a" });
  expect(kinds()).not.toContain("turn_end");
  for (const tell of [readOn, () => claude.stop("It is written."), () => claude.end()]) tell();
  expect(kinds()).toEqual(["prompt", "assistant", "assistant", "tool_start", "turn_end", "end"]);
});

it("words before a call that still runs end no turn, though the transcript has nothing of the call", () => {
  const { claude, runtime, write, readOn, state } = aChatWithoutEvents();
  claude.prompt("write the parser");
  write(words("I test it.", 1));
  runtime.wait(2_000);
  claude.begin("Bash", { command: "npm test" });
  readOn();
  expect(state()).toMatchObject({ life: { turn: { over: null }, calls: [{ name: "Bash" }] } });
});

type Line = (overrides: { readonly timestamp: string }) => string;
const retry: Line = (overrides) => aRetryLine(1, overrides);
const givenUp: Line = (overrides) => anApiErrorLine("API Error: Repeated 529", overrides);
const answered: Line = (overrides) => anAssistantLine({ id: "msg_answer" }, overrides);

it("failed tries are counted from the transcript until an answer comes", () => {
  const { runtime, claude } = aChatAtWork();
  /** Lines of the transcript at this moment, which a hook reads a second later. @returns the count, and whether it is a risk */
  const after = (...lines: Line[]): unknown[] => {
    for (const line of lines) {
      runtime.wait(1_000);
      claude.transcribe(line({ timestamp: new Date(runtime.now()).toISOString() }));
    }
    runtime.wait(1_000);
    claude.use("Bash", { command: "true" });
    const { readings } = storedSession(runtime, claude.session);
    const { reasons } = assess(readings, runtime.config.risk, runtime.now());
    return [readings.apiErrors?.value, reasons.some(({ name }) => name === "apiErrors")];
  };
  expect(after(answered)).toEqual([undefined, false]);
  after(retry, retry);
  expect(after(retry, givenUp)).toEqual([4, true]);
  expect(after(retry, answered)).toEqual([0, false]);
  after(retry, retry);
  runtime.wait(600_000);
  expect(after(retry)).toEqual([1, false]);
});

/** A session whose process is gone without a word, on a machine that still runs. */
const vanished = { lastFailure: null, reason: null, isSameBoot: true, oomKillsBefore: 0, oomKillsNow: 0 };
const rose = { oomKillsBefore: 2, oomKillsNow: 3 };
const memory = (hostMemory: number, ago = 0) => ({ readings: someReadings({ hostMemory }, T0 - ago) });

it.each<[CrashCause, string, Partial<Evidence>]>([
  ["usage_limit", "", { lastFailure: { limit: { resetsAtMs: null } } }],
  // More out-of-memory kills than before count on the same boot only, a full memory shortly before the end.
  ["out_of_memory", "rose from 2 to 3", { ...rose, reason: "stdin_end" }],
  ["killed", "the machine has been restarted", { ...rose, isSameBoot: false }],
  ["killed", "", { oomKillsBefore: null, oomKillsNow: 3 }],
  ["out_of_memory", "", memory(0.96, 300_000)],
  ["killed", "Its process vanished; no orderly end was seen.", memory(0.95)],
  ["killed", "", memory(0.99, 300_001)],
  ["context_full", "97 %", { readings: someReadings({ contextFill: 0.97 }, T0, "estimated") }],
  ["killed", "", { readings: someReadings({ contextFill: 0.949 }, T0) }],
  ["killed", "in the middle of a tool call", { hadRunningTool: true }],
  ["killed", "", { reason: "parent_death" }],
  ["closed", "its terminal was closed (SIGHUP)", { reason: "sighup", oomKillsNow: 1 }],
  ["closed", "it was asked to end (SIGTERM)", { reason: "sigterm" }],
  ["closed", "has been restarted", { reason: "sigterm", isSameBoot: false }],
  // The end of the connection is no cause, unless the client would have reported its end.
  ["unknown", "", { reason: "stdin_end" }],
  ["killed", "", { reason: "stdin_end", hasEndHook: true }],
  ["unknown", "", { reason: "constructor" }],
  ["unknown", "Its end was not observed.", { isSameBoot: null }],
])("the cause of a death is %s (%s), by what was seen: %j", (cause, detail, evidence) => {
  const seen = { readings: {}, endedAt: T0, hadRunningTool: false, ...vanished, ...evidence };
  expect(inferCause(seen)).toEqual({ cause, detail: expect.stringContaining(detail) });
});

/** What Claude Code's documentation shows, in its shape. */
function aStatusLine(overrides: Record<string, unknown> = {}): string {
  const totals = { total_input_tokens: 15_500, total_output_tokens: 1_200 };
  const cached = { cache_creation_input_tokens: 5_000, cache_read_input_tokens: 2_000 };
  const current_usage = { input_tokens: 8_500, output_tokens: 1_200, ...cached };
  const resets_at = T0 / 1_000 + 60;
  return JSON.stringify({
    cwd: "/home/ann/app",
    session_id: "5f0e0e5e-0000-4000-8000-000000000001",
    transcript_path: "/home/ann/.claude/projects/app/5f0e.jsonl",
    model: { id: "claude-opus-5", display_name: "Opus" },
    version: "2.1.328",
    cost: { total_cost_usd: 0.01234, total_duration_ms: 45_000 },
    context_window: { ...totals, context_window_size: 200_000, used_percentage: 8, current_usage },
    rate_limits: { five_hour: { used_percentage: 23.5, resets_at }, seven_day: { used_percentage: 41, resets_at } },
    ...overrides,
  });
}

const window = { context_window_size: 200_000 };
const compacted = { current_usage: null, total_input_tokens: 0, total_output_tokens: 0, used_percentage: null };

it("reads the whole status line input", () => {
  const context = { contextTokens: 16_700, contextWindow: 200_000, contextFill: 0.0835 };
  expect(parse(aStatusLine(), T0, {})).toEqual({
    sessionId: "5f0e0e5e-0000-4000-8000-000000000001",
    model: "claude-opus-5",
    costUsd: 0.01234,
    readings: someReadings({ ...context, rateLimit: 0.41, sessionAgeMs: 45_000 }, T0),
  });
});

it.each([
  ["null after a compaction", { ...compacted, ...window }, undefined],
  ["only totals", { current_usage: null, total_input_tokens: 900, total_output_tokens: 100 }, 1_000],
  ["only a percentage", { used_percentage: 50, ...window }, 100_000],
  ["a percentage of an unknown window", { used_percentage: 50 }, undefined],
  ["a percentage of zero", { used_percentage: 0, ...window }, undefined],
  ["nothing", null, undefined],
])("context tokens: %s", (_, context, tokens) => {
  const { readings } = parse(aStatusLine({ context_window: context }), T0, {});
  expect(readings.contextTokens?.value).toBe(tokens);
});

it("a rate limit that was reset meanwhile says nothing; an over-long id is refused, not cut", () => {
  const five_hour = { used_percentage: 99, resets_at: T0 / 1_000 - 1 };
  const long = { session_id: "x".repeat(201) };
  const limits = { five_hour, seven_day: { used_percentage: 10 } };
  const input = parse(aStatusLine({ ...long, rate_limits: limits }), T0, {});
  expect(input).toMatchObject({ sessionId: null, readings: { rateLimit: { value: 0.1 } } });
  const over = aStatusLine({ rate_limits: { five_hour: { used_percentage: 130, resets_at: null } } });
  expect(parse(over, T0, {}).readings.rateLimit?.value).toBe(1);
});

it("for any values in its fields nothing throws and every reading is a number that can be true", () => {
  const hostile = fc.oneof(fc.double(), fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(1e308, -1, "12", null));
  const part = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys), hostile);
  const sums = ["context_window_size", "total_input_tokens", "total_output_tokens", "used_percentage", "current_usage"];
  const input = fc.record(
    {
      session_id: hostile,
      model: part("id"),
      cost: part("total_duration_ms", "total_cost_usd"),
      context_window: part(...sums),
      rate_limits: fc.dictionary(fc.constantFrom("five_hour", "seven_day"), part("used_percentage", "resets_at")),
    },
    { requiredKeys: [] },
  );
  const property = fc.property(fc.oneof(input.map(JSON.stringify), fc.string()), (text) => {
    for (const [name, { value }] of Object.entries(parse(text, T0, {}).readings)) {
      const most = name === "contextFill" || name === "rateLimit" ? 1 : Number.MAX_SAFE_INTEGER;
      expect(value >= 0 && value <= most, name).toBe(true);
    }
  });
  fc.assert(property, { numRuns: 300 });
});

it.each<[string | null, number | null, object?, number?]>([
  ["claude-opus-5-5", 1_000_000],
  ["claude-haiku-4-5-20251001", 200_000],
  ["Claude-Sonnet-4-5[1m]", 1_000_000],
  ["claude-sonnet-4-6", null],
  ["us.anthropic.claude-opus-5", null],
  [null, null],
  // Of an unknown window only an auto-compact window that surely fits is taken.
  [null, 150_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "150000" }],
  [null, null, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "900000" }],
  // What the client measured overrides the table.
  ["claude-opus-5", 200_000, {}, 200_000],
  // The environment says that the large window is held or doubtful.
  ["claude-opus-5", 200_000, { CLAUDE_CODE_DISABLE_1M_CONTEXT: "1" }],
  ["claude-opus-5", null, { CLAUDE_CODE_USE_VERTEX: "1" }],
  ["claude-opus-5[1m]", 1_000_000, { CLAUDE_CODE_USE_VERTEX: "1" }],
  // A declared window counts for models that are not Claude's.
  ["glm-6", 131_072, { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" }],
  ["claude-opus-9", null, { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" }],
  ["claude-opus-5", 500_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "0.5M" }],
  ["claude-opus-5", 1_000_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "soon" }],
])("the window of %j is %j with %j, measured %j", (model, window, env = {}, measured) => {
  expect(effectiveWindow(model, env as NodeJS.ProcessEnv, measured)).toBe(window);
});

import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import { readRows } from "#src/clients/transcript.ts";
import { configSchema, defaults as settings } from "#src/contract/config.ts";
import type { ReadingName, Readings, RiskLevel, RiskMark, Source } from "#src/contract/readings.ts";
import {
  afterCompaction,
  derive,
  merge,
  type SessionFacts,
  type ToolOutcome,
} from "#src/machine/sessions/signals/readings.ts";
import { assess, levelFrom, markReading, riskRules } from "#src/machine/sessions/signals/risk.ts";
import { refreshIfDue } from "#src/local-mcp/host/refresh.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { fromTranscript } from "#src/machine/sessions/signals/context-readings.ts";
import { Claude, listCheckpoints, rowCount, aChat } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { someReadings, T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

const minute = 60_000;

function someFacts(overrides: Partial<SessionFacts> = {}): SessionFacts {
  const tools = { toolCalls: 0, toolErrors: 0, recentTools: [] };
  const unknown = { lastCheckpointAt: null, transcriptBytes: null, clientMemoryBytes: null, hostMemory: null };
  return { startedAt: T0 - minute, ...tools, ...unknown, ...overrides };
}

function calls(count: number, overrides: Partial<ToolOutcome> = {}): ToolOutcome[] {
  return Array.from({ length: count }, () => ({ name: "Bash", isError: false, durationMs: 1_000, ...overrides }));
}

const of =
  (source: Source) =>
  (value: number, ms = 0) =>
    someReadings({ contextFill: value }, T0 + ms, source);
const [measured, reported, estimated] = [of("measured"), of("reported"), of("estimated")];

it.each<[string, Readings, Readings, "older" | "newer"]>([
  ["of the same source the newer one", measured(1), measured(2, 1), "newer"],
  ["a measured one for ten minutes", measured(1), estimated(2, 10 * minute), "older"],
  ["an estimated one that is over ten minutes newer", measured(1), estimated(2, 10 * minute + 1), "newer"],
  ["one that the model reports before an estimated one", estimated(1), reported(2), "newer"],
  ["a measured one before one that the model reports", measured(1), reported(2), "older"],
])("of two readings %s is kept, in either order", (_, older, newer, kept) => {
  const expected = kept === "older" ? older : newer;
  expect(merge(older, newer)).toEqual(expected);
  expect(merge(newer, older)).toEqual(expected);
});

it("a compaction takes away what was read of the context before it", () => {
  const later = someReadings({ contextFill: 0.1 }, T0 + 1);
  const readings = { ...someReadings({ contextTokens: 9, contextWindow: 10, hostMemory: 0.5 }, T0), ...later };
  const left = { ...someReadings({ contextWindow: 10, hostMemory: 0.5 }, T0), ...later };
  expect(afterCompaction(readings, T0)).toEqual(left);
});

it("derives what the session's own rows hold, and nothing that is not known", () => {
  const known = { toolCalls: 7, transcriptBytes: 5_000, clientMemoryBytes: 1_000, hostMemory: 0.5, oomKills: 2 };
  const times = { sessionAgeMs: minute, sinceCheckpointMs: 10 };
  const facts = someFacts({ ...known, lastCheckpointAt: T0 - 10 });
  expect(derive(facts, T0)).toEqual(someReadings({ ...known, toolErrors: 0, ...times }, T0));
  expect(Object.keys(derive(someFacts(), T0))).toEqual(["toolCalls", "sessionAgeMs", "sinceCheckpointMs"]);
});

const share = (facts: Partial<SessionFacts>): number | undefined => derive(someFacts(facts), T0).toolErrors?.value;

it("the share of errors is taken of the newest twenty calls, from five on", () => {
  const [good, bad] = [calls, (count: number): ToolOutcome[] => calls(count, { isError: true })];
  expect(share({ recentTools: bad(4), toolCalls: 4, toolErrors: 4 })).toBeUndefined();
  expect(share({ recentTools: [...good(4), ...bad(1)] })).toBe(0.2);
  expect(share({ recentTools: [...bad(30), ...good(15), ...bad(5)] })).toBe(0.25);
  expect(share({ toolCalls: 10, toolErrors: 4 })).toBe(0.4);
  expect(share({ toolCalls: 4, toolErrors: 4 })).toBeUndefined();
});

const [read] = calls(1, { name: "Read" }) as [ToolOutcome];

it.each<[number | undefined, ToolOutcome[]]>([
  [4, [...calls(10), ...calls(5, { durationMs: 4_000 })]],
  [1, [...calls(10, { durationMs: 3 }), ...calls(5, { durationMs: 60 })]],
  [undefined, [...calls(10), ...calls(5, { name: "Read", durationMs: 90_000 })]],
  [2, [...calls(10), ...calls(3, { durationMs: 2_000 }), ...calls(2, { name: "Read" })]],
  [undefined, [...calls(10, { durationMs: null }), ...calls(5)]],
  [undefined, [...calls(4), ...calls(6, { durationMs: NaN })]],
  [undefined, calls(7)],
  [4, [...calls(10), ...[2_000, 4_000, 4_000, 4_000].flatMap((durationMs) => calls(1, { durationMs })), read]],
])("latency is compared per tool with what was usual before: %s", (trend, recentTools) => {
  expect(derive(someFacts({ recentTools }), T0).latencyTrend?.value).toBe(trend);
});

it("the context is what the newest response counted", () => {
  const sent = { input_tokens: 10, cache_read_input_tokens: 80_000, cache_creation_input_tokens: 19_000 };
  const content = readRows(rowsIn(Buffer.from(anAssistantLine({ usage: { ...sent, output_tokens: 990 } }))));
  const read = { offset: 100, size: 100, skippedBytes: 0, isOverBudget: false, unreadable: null, before: null };
  const part = { ...content, ...read };
  expect(fromTranscript(part, {}, {}, T0 + 5)).toEqual({
    ...someReadings({ transcriptBytes: 100 }, T0 + 5),
    ...someReadings({ contextTokens: 100_000 }, T0),
    ...someReadings({ contextWindow: 1_000_000, contextFill: 0.1 }, T0, "estimated"),
  });
  for (const [source, value] of Object.entries({ measured: 0.5, estimated: 0.1 }) as [Source, number][]) {
    const known = someReadings({ contextWindow: 200_000 }, T0, source);
    expect(fromTranscript(part, known, {}, T0 + 5)).toMatchObject({ contextFill: { value, source } });
  }
});

const defaults = settings.risk;
const names: readonly ReadingName[] = [
  ...(["contextTokens", "contextWindow", "contextFill", "clientMemoryBytes", "hostMemory", "oomKills"] as const),
  ...(["rateLimit", "toolCalls", "toolErrors", "latencyTrend", "transcriptBytes"] as const),
  ...(["sessionAgeMs", "sinceCheckpointMs"] as const),
];

const riskOf = (values: Partial<Record<ReadingName, number>>, now = T0) =>
  assess(someReadings(values, T0), defaults, now);

it.each<[ReadingName, number, number, number]>([
  ["contextFill", 0.75, 0.76, 0.3],
  ["contextTokens", 150_000, 150_001, 0.3],
  ["sinceCheckpointMs", 480_000, 480_001, 0.4],
  ["hostMemory", 0.8, 0.81, 0.3],
  ["rateLimit", 0.9, 0.91, 0.2],
  ["toolErrors", 0.3, 0.31, 0.1],
  ["latencyTrend", 3, 3.1, 0.1],
  ["transcriptBytes", 50_000_000, 50_000_001, 0.1],
])("%s: %s is still well, %s adds %s... by default", (name, threshold, value, weight) => {
  expect(riskOf({ [name]: threshold })).toEqual({ score: 0, level: "safe", reasons: [] });
  const reasons = [{ name, value, threshold, weight, source: "measured" }];
  expect(riskOf({ [name]: value })).toEqual({ score: weight, level: weight >= 0.3 ? "warning" : "safe", reasons });
});

it("weights add up, the heaviest first, and 1 is the most", () => {
  const three = riskOf({ contextFill: 0.9, sinceCheckpointMs: 600_000, toolErrors: 0.5 });
  expect(three).toMatchObject({ score: 0.8, level: "critical" });
  expect(three.reasons.map((reason) => reason.name)).toEqual(["sinceCheckpointMs", "contextFill", "toolErrors"]);
  expect(riskOf({ contextFill: 1, hostMemory: 1 })).toMatchObject({ score: 0.6, level: "danger" });
  const all = riskOf({ contextFill: 1, sinceCheckpointMs: 1e9, hostMemory: 1, rateLimit: 1, toolErrors: 1 });
  expect(all).toMatchObject({ score: 1, level: "critical" });
});

it.each<[Partial<Record<ReadingName, number>>, ReadingName[]]>([
  [{ clientMemoryBytes: 1e12, toolCalls: 1e6, sessionAgeMs: 1e12, contextWindow: 1 }, []],
  [{ contextTokens: 300_000, contextFill: 0.3 }, []],
  [{ contextTokens: 900_000, contextFill: 0.9 }, ["contextFill"]],
  [{ contextTokens: 300_000 }, ["contextTokens"]],
])("tokens count only while the fill is not known, and some readings are no danger: %j", (values, reasons) => {
  expect(riskOf(values).reasons.map(({ name }) => name)).toEqual(reasons);
});

it("three thresholds are the configuration's", () => {
  const { risk } = configSchema().parse({ risk: { thresholds: { memory: 0.5 } } });
  const found = assess(someReadings({ hostMemory: 0.6, contextFill: 0.7 }, T0), risk, T0);
  expect(found).toMatchObject({ score: 0.3, reasons: [{ name: "hostMemory", threshold: 0.5 }] });
});

it("stale readings are not used: memory after five minutes, others after an hour", () => {
  const values = { contextFill: 1, hostMemory: 1, rateLimit: 1 };
  const at = (age: number) => riskOf(values, T0 + age).reasons.map((reason) => reason.name);
  expect(at(300_000)).toEqual(["contextFill", "hostMemory", "rateLimit"]);
  expect(at(300_001)).toEqual(["contextFill", "rateLimit"]);
  expect(at(3_600_000)).toEqual(["contextFill", "rateLimit"]);
  expect(at(3_600_001)).toEqual([]);
});

it("the time since the checkpoint grows after it was read; a clock that jumped back makes nothing younger", () => {
  const reading = { sinceCheckpointMs: 400_000 };
  expect(riskOf(reading, T0).score).toBe(0);
  expect(riskOf(reading, T0 + 100_000).reasons).toMatchObject([{ name: "sinceCheckpointMs", value: 500_000 }]);
  expect(riskOf(reading, T0 + 86_400_000).score).toBe(0.4);
  expect(riskOf({ sinceCheckpointMs: 500_000, contextFill: 1 }, T0 - 86_400_000).score).toBe(0.7);
});

const reading = fc.record({
  value: fc.oneof(fc.double(), fc.double({ min: 0, max: 2 }), fc.integer({ min: 0, max: 1e9 })),
  source: fc.constantFrom("measured" as const, "reported" as const, "estimated" as const),
  at: fc.oneof(fc.integer({ min: T0 - 5_000_000, max: T0 + 5_000_000 }), fc.double()),
});
const anyReadings: fc.Arbitrary<Readings> = fc.dictionary(fc.constantFrom(...names), reading);

it("for any readings the score is a number from 0 to 1 and the sum of its reasons", () => {
  const property = fc.property(anyReadings, (readings) => {
    const { score, reasons } = assess(readings, defaults, T0);
    expect(score >= 0 && score <= 1).toBe(true);
    const sum = reasons.reduce((total, reason) => total + reason.weight, 0);
    expect(score).toBeCloseTo(Math.min(1, sum), 9);
    for (const { value, threshold } of reasons) expect(value > threshold).toBe(true);
  });
  fc.assert(property, { numRuns: 500 });
});

it("a higher reading never lowers the risk", () => {
  const increase = fc.record({ name: fc.constantFrom(...names), by: fc.double({ min: 0, max: 1e9, noNaN: true }) });
  const property = fc.property(anyReadings, increase, (readings, { name, by }) => {
    const before = readings[name];
    fc.pre(before !== undefined && Number.isFinite(before.value + by));
    const higher = { ...readings, [name]: { ...before, value: before.value + by } };
    expect(assess(higher, defaults, T0).score).toBeGreaterThanOrEqual(assess(readings, defaults, T0).score);
  });
  fc.assert(property, { numRuns: 500 });
});

it("the documentation for users shows the defaults, and its example is valid", () => {
  const text = readFileSync(new URL("../../../../docs/guide/signals.md", import.meta.url), "utf8");
  const rows = text.split("\n").filter((line) => line.startsWith("|"));
  const cells = rows.map((row) => row.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const units = new Map(Object.entries({ minutes: 60_000, "%": 0.01, MB: 1_000_000 }));
  const valueOf = (over = ""): number => {
    const [figure = "", unit = ""] = over.split(" ");
    return Number(figure.replaceAll(",", "")) * (units.get(unit) ?? 1);
  };
  const shown = cells.flatMap(([, , over, adds, key]) =>
    Number(adds) > 0 ? [[valueOf(over), Number(adds), key]] : [],
  );
  const { thresholds } = defaults;
  const rules = Object.values(riskRules).map(({ over, adds }) =>
    typeof over === "number" ? [over, adds, ""] : [thresholds[over], adds, `risk.thresholds.${over}`],
  );
  expect(new Set(shown.map(String))).toEqual(new Set(rules.map(String)));
  for (const [level, from] of Object.entries(levelFrom)) if (from > 0) expect(text).toContain(`${level} from ${from}`);
  const [, example = ""] = /```json\n([^`]*)```/.exec(text) ?? [];
  expect(configSchema().parse(JSON.parse(example)).risk.thresholds).toMatchObject({ contextFill: 0.6 });
});

/** Only the context counts. */
const onlyContext = { config: { risk: { thresholds: { memory: 1, sinceCheckpointMs: 1e12 } } } };

/** A chat in its second turn, after a tool call. */
function aBusyChat(options: Parameters<typeof aChat>[0] = onlyContext) {
  const chat = aChat(options);
  chat.claude.turn("fix the parser");
  chat.claude.prompt("go on");
  chat.claude.use("Bash");
  return chat;
}

function redraw(runtime: TempRuntime, { session }: Claude, tokens: number, used_percentage = 0): void {
  const context_window = { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } };
  const rate_limits = { five_hour: { used_percentage, resets_at: 2_000_000_000 } };
  const text = JSON.stringify({ session_id: session, model: { id: "claude-opus-5-5" }, context_window, rate_limits });
  runtime.wait(1_000);
  statusOf(runtime, text);
}

function triggers(runtime: TempRuntime): string[] {
  return runtime.store.read((sql) => listCheckpoints(sql), []).map(({ trigger }) => trigger);
}

it("a rise that the status line saw first is a checkpoint at the next tool, once, also where it has passed", () => {
  const { runtime, claude } = aBusyChat();
  const before = rowCount(runtime, "checkpoints");
  redraw(runtime, claude, 900_000);
  redraw(runtime, claude, 100_000);
  expect(rowCount(runtime, "checkpoints")).toBe(before);
  for (let call = 0; call < 3; call++) claude.use("Read");
  expect([triggers(runtime)[0], rowCount(runtime, "checkpoints")]).toEqual(["risk", before + 1]);
});

it("the timer takes the checkpoint where no tool follows, however often the status line is redrawn", async () => {
  const { runtime, claude } = aBusyChat();
  const { chat } = await connect(runtime, { clientPid: claude.pid });
  redraw(runtime, claude, 900_000);
  refreshIfDue(chat, claude.session);
  expect(triggers(runtime)[0]).toBe("risk");
  redraw(runtime, claude, 900_000);
  refreshIfDue(chat, claude.session);
  expect(triggers(runtime).filter((trigger) => trigger === "risk")).toHaveLength(1);
});

it("at critical risk shim_auto_checkpoint saves what is new, and never says that nothing is due", async () => {
  const { runtime, claude } = aBusyChat({ config: { risk: { thresholds: { memory: 0 } } } });
  const { call } = await connect(runtime, { clientPid: claude.pid });
  redraw(runtime, claude, 900_000, 95);
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: true, reason: "risk", level: "critical" });
  claude.begin("Bash", { command: "make" });
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: true, reason: "risk" });
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: false, reason: "unchanged" });
});

it.each<[string, string, string]>([
  ["a level that flaps", "0 danger, 1 safe, 2 danger, 3 safe, 7 danger", "danger"],
  ["one that was left for five minutes", "0 danger, 1 safe, 6 safe, 7 danger", "danger danger"],
  ["a higher one", "0 danger, 1 safe, 2 critical", "danger critical"],
  ["one at a clock that jumped back", "10 danger, 11 safe, 2 safe, 6 safe, 6.5 danger", "danger"],
])("%s, by minutes %s, rises to %s", (_, levels, rises) => {
  let mark: RiskMark = { covered: "safe", pending: null, belowAt: null };
  const taken: RiskLevel[] = [];
  for (const [minutes = "", level = ""] of levels.split(", ").map((one) => one.split(" "))) {
    mark = markReading(mark, level as RiskLevel, T0 + Number(minutes) * 60_000);
    if (mark.pending) taken.push(mark.pending);
    // Each pending rise is covered at once.
    mark = { ...mark, covered: mark.pending ?? mark.covered, pending: null };
  }
  expect(taken.join(" ")).toBe(rises);
});

it("while everything is saved no time makes a chat a risk, however long it is idle", () => {
  expect(riskOf({ sinceCheckpointMs: 0 }, T0 + 86_400_000)).toMatchObject({ score: 0, level: "safe" });
});

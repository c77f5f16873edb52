import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Readings, Source } from "#src/contract/readings.ts";
import { afterCompaction, derive, merge, type SessionFacts, type ToolOutcome } from "#src/learning/policy/readings.ts";
import { fromTranscript } from "#src/machine/signals/context-readings.ts";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import { readRows, type TranscriptPart } from "#src/clients/transcript.ts";
import { someReadings } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, T0 } from "#harness/machine/transcripts.ts";

const minute = 60_000;

function someFacts(overrides: Partial<SessionFacts> = {}): SessionFacts {
  return {
    startedAt: T0 - minute,
    toolCalls: 0,
    toolErrors: 0,
    recentTools: [],
    lastCheckpointAt: null,
    transcriptBytes: null,
    clientMemoryBytes: null,
    hostMemory: null,
    ...overrides,
  };
}

function calls(count: number, overrides: Partial<ToolOutcome> = {}): ToolOutcome[] {
  return Array.from({ length: count }, () => ({ name: "Bash", isError: false, durationMs: 1_000, ...overrides }));
}

function aPart(line: string, overrides: Partial<TranscriptPart> = {}): TranscriptPart {
  const content = readRows(rowsIn(Buffer.from(line)));
  return {
    ...content,
    offset: 100,
    size: 100,
    skippedBytes: 0,
    isRestarted: false,
    isOverBudget: false,
    unreadable: null,
    ...overrides,
  };
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

it("which of two readings came in first does not matter, unless they are of one source and time", () => {
  const one = fc.record({
    value: fc.constant(1),
    source: fc.constantFrom("measured" as const, "reported" as const, "estimated" as const),
    at: fc.integer({ min: T0, max: T0 + 20 * minute }),
  });
  fc.assert(
    fc.property(one, one, (a, b) => {
      expect(merge({ contextFill: a }, { contextFill: b })).toEqual(merge({ contextFill: b }, { contextFill: a }));
    }),
  );
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
  expect(derive(someFacts({ ...known, lastCheckpointAt: T0 - 10 }), T0)).toEqual(
    someReadings({ ...known, toolErrors: 0, ...times }, T0),
  );
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
  const part = aPart(anAssistantLine({ usage: { ...sent, output_tokens: 990 } }));
  expect(fromTranscript(part, {}, {}, T0 + 5)).toEqual({
    ...someReadings({ transcriptBytes: 100 }, T0 + 5),
    ...someReadings({ contextTokens: 100_000 }, T0),
    ...someReadings({ contextWindow: 1_000_000, contextFill: 0.1 }, T0, "estimated"),
  });
  for (const [source, value] of [
    ["measured", 0.5],
    ["estimated", 0.1],
  ] as const) {
    const known = someReadings({ contextWindow: 200_000 }, T0, source);
    expect(fromTranscript(part, known, {}, T0 + 5)).toMatchObject({ contextFill: { value, source } });
  }
});

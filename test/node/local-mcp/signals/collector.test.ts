import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Readings } from "#src/contract/readings.ts";
import {
  afterCompaction,
  derive,
  fromTranscript,
  merge,
  type SessionFacts,
  type ToolOutcome,
} from "#src/local-mcp/signals/collector.ts";
import { readLines } from "#src/local-mcp/signals/transcript-lines.ts";
import type { TranscriptPart } from "#src/local-mcp/signals/transcript.ts";
import { someReadings } from "#harness/machine/readings.ts";
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
  const content = readLines([{ text: line, position: 0 }]);
  return { ...content, offset: 100, size: 100, skippedBytes: 0, isRestarted: false, unreadable: null, ...overrides };
}

it("[SI16] of the same source the newer reading stays", () => {
  const older = someReadings({ contextTokens: 1 }, T0);
  const newer = someReadings({ contextTokens: 2 }, T0 + 1);
  expect(merge(older, newer)).toEqual(newer);
  expect(merge(newer, older)).toEqual(newer);
  expect(merge(older, someReadings({ contextTokens: 3 }, T0)).contextTokens?.value).toBe(3);
});

const later = (ms: number): Readings => someReadings({ contextFill: 0.9 }, T0 + ms, "estimated");

it("[SI16] a measured value stands above an estimated one until it is over ten minutes older", () => {
  const measured = someReadings({ contextFill: 0.5 }, T0);
  expect(merge(measured, later(10 * minute))).toEqual(measured);
  expect(merge(measured, later(10 * minute + 1))).toEqual(later(10 * minute + 1));
  expect(merge(later(10 * minute), measured)).toEqual(measured);
  expect(merge(later(10 * minute + 1), measured)).toEqual(later(10 * minute + 1));
});

it("[SI16] what the model reports stands between the two", () => {
  const reported = someReadings({ contextFill: 0.6 }, T0, "reported");
  expect(merge(someReadings({ contextFill: 0.5 }, T0, "estimated"), reported)).toEqual(reported);
  const measured = someReadings({ contextFill: 0.5 }, T0);
  expect(merge(measured, reported)).toEqual(measured);
});

it("[SI16] each reading is judged by itself; merging twice changes nothing", () => {
  const old = { ...someReadings({ contextFill: 0.5 }, T0), ...someReadings({ hostMemory: 0.1 }, T0) };
  const fresh = { ...someReadings({ contextFill: 0.4 }, T0 - 1), ...someReadings({ rateLimit: 0.2 }, T0) };
  const merged = merge(old, fresh);
  expect(merged).toEqual({ ...old, ...someReadings({ rateLimit: 0.2 }, T0) });
  expect(merge(merged, fresh)).toEqual(merged);
  expect(old).not.toHaveProperty("rateLimit");
});

it("[SI16] which of two readings came in first does not matter, unless they are of one source and time", () => {
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

it("[SI17] a compaction takes away what was read of the context before it", () => {
  const readings = {
    ...someReadings({ contextTokens: 9, contextWindow: 10, hostMemory: 0.5 }, T0),
    ...someReadings({ contextFill: 0.1 }, T0 + 1),
  };
  expect(afterCompaction(readings, T0)).toEqual({
    ...someReadings({ contextWindow: 10, hostMemory: 0.5 }, T0),
    ...someReadings({ contextFill: 0.1 }, T0 + 1),
  });
});

it("[SI18] derives what the session's own rows tell, and nothing that is not known", () => {
  const known = {
    toolCalls: 7,
    transcriptBytes: 5_000,
    clientMemoryBytes: 1_000,
    hostMemory: 0.5,
    oomKills: 2,
    lastCheckpointAt: T0 - 10,
  };
  expect(derive(someFacts(known), T0)).toEqual(
    someReadings(
      {
        toolCalls: 7,
        toolErrors: 0,
        transcriptBytes: 5_000,
        clientMemoryBytes: 1_000,
        hostMemory: 0.5,
        oomKills: 2,
        sessionAgeMs: minute,
        sinceCheckpointMs: 10,
      },
      T0,
    ),
  );
  expect(Object.keys(derive(someFacts(), T0))).toEqual(["toolCalls", "sessionAgeMs", "sinceCheckpointMs"]);
});

it("[SI18] without a checkpoint the time since then is the session's age; a clock that jumped back gives zero", () => {
  expect(derive(someFacts(), T0).sinceCheckpointMs?.value).toBe(minute);
  expect(derive(someFacts({ lastCheckpointAt: T0 + minute }), T0).sinceCheckpointMs?.value).toBe(0);
  expect(derive(someFacts({ startedAt: T0 + minute }), T0).sessionAgeMs?.value).toBe(0);
});

const share = (facts: Partial<SessionFacts>): number | undefined => derive(someFacts(facts), T0).toolErrors?.value;

it("[SI18] the share of errors is taken of the newest twenty calls, from five on", () => {
  expect(share({ recentTools: calls(4, { isError: true }), toolCalls: 4, toolErrors: 4 })).toBeUndefined();
  expect(share({ recentTools: [...calls(4), ...calls(1, { isError: true })] })).toBe(0.2);
  expect(share({ recentTools: [...calls(30, { isError: true }), ...calls(15), ...calls(5, { isError: true })] })).toBe(
    0.25,
  );
  expect(share({ toolCalls: 10, toolErrors: 4 })).toBe(0.4);
  expect(share({ toolCalls: 4, toolErrors: 4 })).toBeUndefined();
});

const trend = (recentTools: ToolOutcome[]): number | undefined =>
  derive(someFacts({ recentTools }), T0).latencyTrend?.value;

it("[SI18] latency is compared per tool with what was usual before", () => {
  expect(trend([...calls(10), ...calls(5, { durationMs: 4_000 })])).toBe(4);
  expect(trend([...calls(10, { durationMs: 3 }), ...calls(5, { durationMs: 60 })])).toBe(1);
  expect(trend([...calls(10), ...calls(5, { name: "Read", durationMs: 90_000 })])).toBeUndefined();
  expect(trend([...calls(10), ...calls(3, { durationMs: 2_000 }), ...calls(2, { name: "Read" })])).toBe(2);
  expect(trend([...calls(10, { durationMs: null }), ...calls(5)])).toBeUndefined();
  expect(trend([...calls(4), ...calls(6, { durationMs: NaN })])).toBeUndefined();
  expect(trend(calls(7))).toBeUndefined();
  const even = [
    ...calls(10),
    ...calls(1, { durationMs: 2_000 }),
    ...calls(3, { durationMs: 4_000 }),
    ...calls(1, { name: "Read" }),
  ];
  expect(trend(even)).toBe(4);
});

it("[SI19] the context is what the newest response counted", () => {
  const usage = {
    input_tokens: 10,
    cache_read_input_tokens: 80_000,
    cache_creation_input_tokens: 19_000,
    output_tokens: 990,
  };
  const part = aPart(anAssistantLine({ usage }));
  expect(fromTranscript(part, {}, {}, T0 + 5)).toEqual({
    ...someReadings({ transcriptBytes: 100 }, T0 + 5),
    ...someReadings({ contextTokens: 100_000 }, T0),
    ...someReadings({ contextWindow: 1_000_000, contextFill: 0.1 }, T0, "estimated"),
  });
  const told = someReadings({ contextWindow: 200_000 }, T0);
  expect(fromTranscript(part, told, {}, T0 + 5)).toMatchObject({ contextFill: { value: 0.5, source: "measured" } });
  const guessed = someReadings({ contextWindow: 200_000 }, T0, "estimated");
  expect(fromTranscript(part, guessed, {}, T0 + 5)).toMatchObject({ contextFill: { value: 0.1, source: "estimated" } });
});

it("[SI19] of an unknown model only the tokens are known; times ahead of the clock are now", () => {
  const part = aPart(anAssistantLine({ model: "new-model" }, { timestamp: new Date(T0 + minute).toISOString() }));
  expect(fromTranscript(part, {}, {}, T0)).toEqual(someReadings({ transcriptBytes: 100, contextTokens: 15 }, T0));
  const timeless = aPart(anAssistantLine({ model: "new-model" }, { timestamp: null }));
  expect(fromTranscript(timeless, {}, {}, T0).contextTokens?.at).toBe(T0);
});

it("[SI19] without a usage that counts there is no reading of the context, without a file none at all", () => {
  const empty = aPart(anAssistantLine({ usage: { input_tokens: 0, output_tokens: 0 } }));
  expect(fromTranscript(empty, {}, {}, T0)).toEqual(someReadings({ transcriptBytes: 100 }, T0));
  expect(fromTranscript(aPart("{}", { unreadable: "ENOENT", size: 0 }), {}, {}, T0)).toEqual({});
});

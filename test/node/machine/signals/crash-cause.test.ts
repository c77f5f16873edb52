import { expect, it } from "vitest";
import type { CrashCause } from "#src/contract/readings.ts";
import { inferCause, type Evidence } from "#src/machine/signals/crash-cause.ts";
import { someReadings } from "#harness/machine/readings.ts";

const T0 = 1_700_000_000_000;

/** A session whose process is gone without a word, on a machine that still runs. */
function someEvidence(overrides: Partial<Evidence> = {}): Evidence {
  return {
    readings: {},
    endedAt: T0,
    lastFailure: null,
    detachReason: null,
    isSameBoot: true,
    oomKillsBefore: 0,
    oomKillsNow: 0,
    hadRunningTool: false,
    ...overrides,
  };
}

const rose = { oomKillsBefore: 2, oomKillsNow: 3 };
const causeOf = (overrides: Partial<Evidence>): CrashCause => inferCause(someEvidence(overrides)).cause;

it.each<[CrashCause, Partial<Evidence>]>([
  // What the client recorded by a code.
  ["usage_limit", { lastFailure: { limit: { resetsAtMs: null } } }],
  // More out-of-memory kills than before count on the same boot only.
  ["out_of_memory", { ...rose, detachReason: "stdin_end" }],
  ["killed", { ...rose, isSameBoot: false }],
  ["killed", { oomKillsBefore: null, oomKillsNow: 3 }],
  ["killed", { oomKillsBefore: 3, oomKillsNow: null }],
  // Memory over 95 % counts shortly before the end.
  ["out_of_memory", { readings: someReadings({ hostMemory: 0.96 }, T0 - 300_000) }],
  ["killed", { readings: someReadings({ hostMemory: 0.95 }, T0) }],
  ["killed", { readings: someReadings({ hostMemory: 0.99 }, T0 - 300_001) }],
  ["killed", { readings: someReadings({ contextFill: 0.949 }, T0) }],
  ["killed", {}],
  ["killed", { detachReason: "parent_death" }],
])("%s follows from %j", (cause, evidence) => {
  expect(causeOf(evidence)).toBe(cause);
});

it.each([
  ["sighup", "its terminal was closed (SIGHUP)"],
  ["sigterm", "it was asked to end (SIGTERM)"],
  ["sigint", "it was asked to end, by an unknown signal"],
])("%s means that it was closed, even when memory was full", (detachReason, how) => {
  expect(inferCause(someEvidence({ detachReason, oomKillsNow: 1 }))).toEqual({
    cause: "closed",
    detail: `The last thing seen was that ${how}.`,
  });
});

it("an orderly signal before a restart of the machine means that it was closed", () => {
  const { cause, detail } = inferCause(someEvidence({ detachReason: "sigterm", isSameBoot: false }));
  expect([cause, detail]).toEqual(["closed", expect.stringContaining("has been restarted")]);
});

it("more out-of-memory kills than before are named with their counts", () => {
  expect(inferCause(someEvidence(rose))).toEqual({
    cause: "out_of_memory",
    detail: "The kernel's count of out-of-memory kills rose from 2 to 3 since it was last seen.",
  });
});

it("a context of 95 % or more at the end means context full, with its source", () => {
  const readings = someReadings({ contextFill: 0.97 }, T0, "estimated");
  const { cause, detail } = inferCause(someEvidence({ readings }));
  expect([cause, detail]).toEqual(["context_full", expect.stringMatching(/estimated[^]*97 %|97 %[^]*estimated/)]);
});

it("without a time of the end the newest reading marks it", () => {
  const { endedAt: _, ...evidence } = someEvidence();
  const old = someReadings({ contextFill: 0.99 }, T0);
  expect(inferCause({ ...evidence, readings: old }).cause).toBe("context_full");
  const readings = { ...old, ...someReadings({ toolCalls: 3 }, T0 + 300_001) };
  expect(inferCause({ ...evidence, readings }).cause).toBe("killed");
});

it("of a process that vanished without a word the tool that it ran and a restart of the machine are named", () => {
  expect(inferCause(someEvidence({ hadRunningTool: true })).detail).toContain("in the middle of a tool call");
  const { cause, detail } = inferCause(someEvidence({ isSameBoot: false }));
  expect([cause, detail]).toEqual(["killed", expect.stringContaining("the machine has been restarted")]);
});

it.each<[CrashCause, Partial<Evidence>]>([
  ["unknown", { detachReason: "stdin_end" }],
  ["unknown", { detachReason: "client_gone" }],
  ["killed", { detachReason: "stdin_end", hasEndHook: true }],
  ["killed", { detachReason: "client_gone", hasEndHook: true }],
  ["unknown", { detachReason: "constructor" }],
])("the end of the connection is no cause, unless the client would have reported its end: %s of %j", (cause, end) => {
  expect(causeOf(end)).toBe(cause);
});

it("without an owner or any sign the cause is unknown", () => {
  const unknown = { cause: "unknown", detail: "Its end was not observed." };
  expect(inferCause(someEvidence({ isSameBoot: null }))).toEqual(unknown);
});

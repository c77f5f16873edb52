import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as checkpoints from "#src/local-mcp/checkpoints/checkpoints.ts";
import { clip, summarize } from "#src/local-mcp/checkpoints/checkpoints.ts";
import { indexPending } from "#src/store/text-index.ts";
import { addSession } from "#harness/store/store-rows.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aState } from "#harness/machine/work-states.ts";

let count = 0;

function add(runtime: TempRuntime, overrides: Partial<checkpoints.NewCheckpoint> = {}): number {
  const packed = { hash: "h", rawBytes: 2, body: Buffer.from("{}") };
  const base = {
    id: `cp_${(count += 1)}`,
    sessionId: "s1",
    at: T0,
    trigger: "time",
    journalSeq: 0,
    redactions: 0,
    summary: "s",
  } as const;
  return runtime.store.write((sql) => checkpoints.insert(sql, { ...base, ...packed, ...overrides }));
}

function found(runtime: TempRuntime, filter: checkpoints.CheckpointFilter): string[] {
  runtime.store.write(indexPending);
  return runtime.store.read((sql) => checkpoints.search(sql, filter), []).map(({ id }) => id);
}

it("[CP4] checkpoints are found by words, session, project and time, newest first, and page by page", () => {
  const runtime = tempRuntime();
  runtime.store.write((sql) => {
    addSession(sql, { id: "s1", project: "/p" });
    addSession(sql, { id: "s2", project: "/q" });
  });
  add(runtime, { id: "a", summary: "fix the parser\nparser.ts", at: T0 });
  add(runtime, { id: "b", summary: "write the lexer", at: T0 + 10, sessionId: "s2" });
  const last = add(runtime, { id: "c", summary: "Parser and lexer", at: T0 + 20 });
  expect(found(runtime, {})).toEqual(["c", "b", "a"]);
  expect(found(runtime, { text: "parser" })).toEqual(["c", "a"]);
  expect(found(runtime, { text: "lexer pars" })).toEqual(["c"]);
  expect(found(runtime, { text: "parser.ts" })).toEqual(["a"]);
  expect(found(runtime, { session: "s2" })).toEqual(["b"]);
  expect(found(runtime, { project: "/p" })).toEqual(["c", "a"]);
  expect(found(runtime, { since: T0 + 5, until: T0 + 15 })).toEqual(["b"]);
  expect(found(runtime, { beforeSeq: last, limit: 1 })).toEqual(["b"]);
});

it("[CP4] no character of a search is an operator; a search without a word finds nothing", () => {
  const runtime = tempRuntime();
  add(runtime, { id: "a", summary: 'say "stop" AND NOT (go) now* -x' });
  for (const text of ['"stop"', "AND", "NOT (go)", "now*", '"', "x OR y"])
    expect(() => found(runtime, { text })).not.toThrow();
  expect(found(runtime, { text: '"stop" AND' })).toEqual(["a"]);
  expect([found(runtime, { text: "" }), found(runtime, { text: " - *" }), found(runtime, { text: "stop y" })]).toEqual([
    [],
    [],
    [],
  ]);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => void found(runtime, { text })),
    { numRuns: 300 },
  );
});

it("[CP4] the beginning of an id names a checkpoint; two that fit are both told", () => {
  const runtime = tempRuntime();
  for (const id of ["cp_abc", "cp_abd", "cp_b"]) add(runtime, { id });
  const ids = (prefix: string): string[] =>
    runtime.store.read((sql) => checkpoints.byPrefix(sql, prefix), []).map(({ id }) => id);
  expect([ids("cp_b"), ids("cp_a"), ids("cp_c"), ids("cp_abc")]).toEqual([
    ["cp_b"],
    ["cp_abc", "cp_abd"],
    [],
    ["cp_abc"],
  ]);
});

it("[CP5] the summary says what it was about, what comes next and which files, each once, in at most 2 KB", () => {
  const state = aState({
    goal: "fix the parser",
    lastPrompt: "fix the parser",
    nextStep: "write the test",
    todos: [
      { text: "open one", status: "pending" },
      { text: "done one", status: "completed" },
    ],
    lastError: { at: T0, text: "Exit code 2" },
    files: [{ path: "/a/b/parser.ts", hash: null, action: "edited" }],
  });
  expect(summarize("fix the parser", state)).toBe("fix the parser\nwrite the test\nopen one\nExit code 2\nparser.ts");
  expect(summarize(null, aState())).toBe("");
  const huge = aState({
    goal: "\u{1F600}".repeat(2_000),
    decisions: Array.from({ length: 5 }, (_, index) => `${index}${"x".repeat(2_000)}`),
  });
  expect(Buffer.byteLength(summarize(null, huge))).toBeLessThanOrEqual(2_048);
});

it("[CP5] a text is cut to bytes without cutting a character in two", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), fc.nat(80), (text, bytes) => {
      const cut = clip(text, bytes);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytes);
      expect(text.startsWith(cut)).toBe(true);
    }),
  );
});

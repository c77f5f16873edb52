import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import { clip, summarize } from "#src/machine/checkpoints/checkpoints.ts";
import { indexPending } from "#src/store/text-index.ts";
import { addSession } from "#harness/store/store-rows.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aState } from "#harness/machine/work-states.ts";

let count = 0;

function add(runtime: TempRuntime, overrides: Partial<checkpoints.NewCheckpoint> = {}): number {
  const packed = { hash: "h", rawBytes: 2, body: Buffer.from("{}") };
  const id = `cp_${(count += 1)}`;
  const base = { id, session: "s1", at: T0, trigger: "time", journalSeq: 0, redactions: 0, summary: "s" } as const;
  return runtime.store.write((sql) => checkpoints.insert(sql, { ...base, ...packed, ...overrides }));
}

function found(runtime: TempRuntime, filter: checkpoints.CheckpointFilter): string[] {
  runtime.store.write(indexPending);
  return runtime.store.read((sql) => checkpoints.search(sql, filter), []).map(({ id }) => id);
}

it("checkpoints are found by words, session, project and time, newest first, and page by page", () => {
  const runtime = tempRuntime();
  for (const [id, project] of Object.entries({ s1: "/p", s2: "/q" }))
    runtime.store.write((sql) => addSession(sql, { id, project }));
  add(runtime, { id: "a", summary: "fix the parser\nparser.ts", at: T0 });
  add(runtime, { id: "b", summary: "write the lexer", at: T0 + 10, session: "s2" });
  const last = add(runtime, { id: "c", summary: "Parser and lexer", at: T0 + 20 });
  for (const [expected, filter] of [
    ["cba", {}],
    ["ca", { text: "parser" }],
    ["c", { text: "lexer pars" }],
    ["a", { text: "parser.ts" }],
    ["b", { session: "s2" }],
    ["ca", { project: "/p" }],
    ["b", { since: T0 + 5, until: T0 + 15 }],
    ["b", { beforeSeq: last, limit: 1 }],
  ] as const)
    expect(found(runtime, filter).join(""), JSON.stringify(filter)).toBe(expected);
});

it("no character of a search is an operator; a search without a word finds nothing @night", () => {
  const runtime = tempRuntime();
  add(runtime, { id: "a", summary: 'say "stop" AND NOT (go) now* -x' });
  for (const text of ['"stop"', "AND", "NOT (go)", "now*", '"', "x OR y"]) found(runtime, { text });
  expect(found(runtime, { text: '"stop" AND' })).toEqual(["a"]);
  for (const text of ["", " - *", "stop y"]) expect(found(runtime, { text })).toEqual([]);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => void found(runtime, { text })),
    { numRuns: 300 },
  );
});

it("the beginning of an id names a checkpoint; of two that fit both are given", () => {
  const runtime = tempRuntime();
  for (const id of ["cp_abc", "cp_abd", "cp_b"]) add(runtime, { id });
  const ids = (prefix: string): string =>
    runtime.store
      .read((sql) => checkpoints.byPrefix(sql, prefix), [])
      .map(({ id }) => id)
      .join(" ");
  expect(["cp_b", "cp_a", "cp_c", "cp_abc"].map(ids)).toEqual(["cp_b", "cp_abc cp_abd", "", "cp_abc"]);
});

it("the summary says what it was about, what comes next and which files, each once, in at most 2 KB", () => {
  const state = aState({
    goal: "fix the parser",
    prompts: [{ text: "fix the parser", at: T0 }],
    nextStep: "write the test",
    todos: [
      { text: "open one", status: "pending" },
      { text: "done one", status: "completed" },
    ],
    answers: [{ question: "Which colour?", answer: "Green", at: T0 }],
    calls: [
      { name: "Bash", input: "ls", at: T0 },
      { name: "Bash", input: "make", at: T0, error: "Exit code 2" },
    ],
    files: [{ path: "/a/b/parser.ts", hash: null, action: "edited" }],
  });
  expect(summarize("fix the parser", state)).toBe(
    "fix the parser\nwrite the test\nopen one\nWhich colour? -> Green\nBash make: Exit code 2\nparser.ts",
  );
  expect(summarize(null, aState())).toBe("");
  const huge = aState({
    goal: "\u{1F600}".repeat(2_000),
    decisions: Array.from({ length: 5 }, (_, index) => `${index}${"x".repeat(2_000)}`),
  });
  expect(Buffer.byteLength(summarize(null, huge))).toBeLessThanOrEqual(2_048);
});

it("a text is cut to bytes without cutting a character in two", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), fc.nat(80), (text, bytes) => {
      const cut = clip(text, bytes);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytes);
      expect(text.startsWith(cut)).toBe(true);
    }),
  );
});

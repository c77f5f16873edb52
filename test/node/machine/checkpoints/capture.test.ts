import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as fc from "fast-check";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { aProject, rowCount, storedSession, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions, T0 } from "#harness/machine/temp-runtime.ts";
import { addSession, column } from "#harness/store/store-rows.ts";
import { indexPending } from "#src/store/text-index.ts";

/** A machine with one session. */
function begun(options: TempRuntimeOptions = {}, project: string | null = null): TempRuntime {
  const runtime = tempRuntime(options);
  runtime.store.write((sql) => addSession(sql, { id: "s1", project, title: null }));
  return runtime;
}

let prompts = 0;

function say(runtime: TempRuntime, text: string): void {
  runtime.store.write((sql) =>
    journal.append(sql, "s1", runtime.now(), `k${(prompts += 1)}`, { kind: "prompt", text }),
  );
}

function save(runtime: TempRuntime, notes: object = {}): ReturnType<typeof capture> {
  return capture(runtime, { sessionId: "s1", trigger: "on_demand", notes });
}

function all(runtime: TempRuntime): checkpoints.Checkpoint[] {
  return runtime.store.read((sql) => checkpoints.search(sql, { session: "s1" }), []);
}

/** Something happens once while a capture puts its state together: after it has read, before it writes. */
function meanwhile(runtime: TempRuntime, happens: () => void): TempRuntime {
  let hasHappened = false;
  return {
    ...runtime,
    get config() {
      if (!hasHappened) happens();
      hasHappened = true;
      return runtime.config;
    },
  };
}

it("a state that has not changed is not stored again; the session counts as saved all the same", () => {
  const runtime = begun();
  const first = save(runtime, { goal: "fix it" });
  expect(first).toMatchObject({ ok: true, value: { isNew: true, checkpoint: { trigger: "on_demand" } } });
  runtime.wait(1_000);
  const id = first.ok ? first.value.checkpoint.id : null;
  expect(save(runtime, { goal: "fix it" })).toMatchObject({ value: { isNew: false, checkpoint: { id } } });
  expect(storedSession(runtime, "s1").savedAt).toBe(runtime.now());
  expect(save(runtime, { goal: "fix that" })).toMatchObject({ value: { isNew: true } });
  expect(rowCount(runtime, "checkpoints")).toBe(2);
});

it("a file that has changed is a new state, also when the chat said nothing", () => {
  const runtime = begun();
  const path = join(aProject(), "a.ts");
  writeFileSync(path, "one");
  save(runtime, { files: [path] });
  writeFileSync(path, "two");
  expect(save(runtime)).toMatchObject({ value: { isNew: true } });
  expect(save(runtime)).toMatchObject({ value: { isNew: false } });
});

it("nothing is stored of a session that is unknown, or of which nothing is known", () => {
  expect(save(tempRuntime())).toEqual({ ok: false, error: { code: "unknown_session" } });
  const runtime = begun({}, aProject());
  expect(save(runtime)).toEqual({ ok: false, error: { code: "nothing_to_save" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("a session that is deleted while its state is put together is not stored again", () => {
  const runtime = begun();
  say(runtime, "private plans");
  const racing = meanwhile(runtime, () =>
    runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id = 's1'")),
  );
  expect(capture(racing, { sessionId: "s1", trigger: "time" })).toMatchObject({ error: { code: "unknown_session" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("over the limit older prompts go; what the chat gave is refused with its size, never cut", () => {
  const runtime = begun({ config: { checkpoint: { maxBytes: 8_000 } } });
  for (let turn = 0; turn < 20; turn++) say(runtime, `${turn} ${"x".repeat(1_000)}`);
  expect(save(runtime)).toMatchObject({ ok: true });
  const seq = all(runtime)[0]?.seq ?? 0;
  const state = runtime.store.read((sql) => checkpoints.requireState(sql, seq), null);
  expect(state?.prompts.map(({ text }) => text.split(" ", 1)[0])).toEqual(["0", "14", "15", "16", "17", "18", "19"]);
  expect(state?.droppedPrompts).toBe(13);
  const decisions = Array.from({ length: 10 }, (_, index) => `${index} ${"d".repeat(1_000)}`);
  const error = { code: "too_large", maxBytes: 8_000, largest: "decisions" };
  expect(save(runtime, { decisions })).toMatchObject({ ok: false, error });
  expect(all(runtime)).toHaveLength(1);
});

it("a damaged checkpoint is found out; the state is made from the one before and the journal", () => {
  const runtime = begun();
  say(runtime, "one");
  save(runtime, { goal: "the goal" });
  say(runtime, "two lids");
  save(runtime);
  const seq = all(runtime)[0]?.seq ?? 0;
  const required = (of: number) => () => runtime.store.read((sql) => checkpoints.requireState(sql, of), null);
  for (const damage of ["zeroblob(40)", "substr(body, 1, 10)"]) {
    runtime.store.write((sql) => sql.run(`UPDATE checkpoints SET body = ${damage} WHERE seq = ?`, seq));
    expect(required(seq)).toThrow(/is damaged/);
    expect(stateOf(runtime, "s1")).toMatchObject({
      goal: "the goal",
      prompts: [{ text: "one" }, { text: "two lids" }],
    });
  }
  // A process that has none of the states in memory.
  expect(save(tempRuntime({ beside: runtime }))).toMatchObject({ value: { isNew: true } });
  runtime.store.write((sql) => sql.run("UPDATE checkpoints SET body = zeroblob(40)"));
  expect(stateOf(runtime, "s1")).toMatchObject({ goal: null, prompts: [{ text: "one" }, { text: "two lids" }] });
  expect(required(999)).toThrow(/no checkpoint number 999/);
  expect(runtime.store.read((sql) => checkpoints.findState(sql, 999), null)).toBeNull();
});

it("two processes that save one session lose nothing of each other, also with states kept in memory", () => {
  const runtime = begun();
  const other = tempRuntime({ beside: runtime });
  save(runtime, { goal: "goal" });
  save(other, { nextStep: "next" });
  save(runtime, { decisions: ["decided"] });
  save(other, { done: ["done"] });
  const known = { goal: "goal", nextStep: "next", decisions: ["decided"], done: ["done"] };
  expect(stateOf(runtime, "s1")).toMatchObject(known);
});

it("a state kept in memory is not taken for another checkpoint that got the deleted one's number", () => {
  const runtime = begun();
  save(runtime, { goal: "deleted" });
  runtime.store.write((sql) => sql.run("DELETE FROM checkpoints"));
  save(tempRuntime({ beside: runtime }), { goal: "other" });
  save(runtime, { nextStep: "next" });
  expect(stateOf(runtime, "s1")).toMatchObject({ goal: "other", nextStep: "next" });
});

it("where snapshots are switched off none is asked for", () => {
  const runtime = begun({ config: { snapshots: { isEnabled: false } } }, aProject());
  save(runtime, { goal: "one" });
  expect(rowCount(runtime, "snapshots")).toBe(0);
});

it("a checkpoint in git records branch and commit, and requests the files; only the newest request counts", () => {
  const project = aProject();
  const runtime = begun({}, project);
  save(runtime, { goal: "one" });
  save(runtime, { goal: "two" });
  expect(stateOf(runtime, "s1")?.git).toEqual({ branch: "main", commit: "a1".repeat(20) });
  const states = runtime.store.read((sql) => column(sql, "SELECT state FROM snapshots ORDER BY state"), []);
  expect(states).toEqual(["pending", "skipped"]);
  rmSync(join(project, ".git"), { recursive: true });
  expect(save(runtime, { goal: "three" })).toMatchObject({ ok: true });
});

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

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture, currentState, type RecentStates } from "#src/local-mcp/checkpoints/capture.ts";
import * as checkpoints from "#src/local-mcp/checkpoints/checkpoints.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { aProject, Claude, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

function begin(runtime: TempRuntime, project: string | null = null): void {
  runtime.store.write((sql) =>
    sessions.recordSighting(sql, runtime.now(), {
      id: "s1",
      client: "test",
      origin: "startup",
      project,
      owner: null,
      isAlive: true,
    }),
  );
}

let told = 0;

function say(runtime: TempRuntime, text: string): void {
  runtime.store.write((sql) => journal.append(sql, "s1", runtime.now(), `k${(told += 1)}`, { kind: "prompt", text }));
}

function save(runtime: TempRuntime, notes: object = {}, recent?: RecentStates): ReturnType<typeof capture> {
  return capture(runtime, { sessionId: "s1", trigger: "on_demand", notes }, recent);
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

it("[CP6] a state that has not changed is not stored again; the session counts as saved all the same", () => {
  const runtime = tempRuntime();
  begin(runtime);
  const first = save(runtime, { goal: "fix it" });
  expect(first).toMatchObject({ ok: true, value: { isNew: true, checkpoint: { trigger: "on_demand" } } });
  runtime.wait(1_000);
  const second = save(runtime, { goal: "fix it" });
  expect(second).toMatchObject({ ok: true, value: { isNew: false } });
  expect(second.ok && first.ok && second.value.checkpoint.id === first.value.checkpoint.id).toBe(true);
  expect(storedSession(runtime, "s1").savedAt).toBe(runtime.now());
  expect(save(runtime, { goal: "fix that" })).toMatchObject({ value: { isNew: true } });
  expect(rowCount(runtime, "checkpoints")).toBe(2);
});

it("[CP6] tool calls that change nothing of the state do not make a checkpoint due again and again", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.turn("look around");
  const saves = (): (number | null)[] => [
    storedSession(runtime, claude.session).savedAt,
    rowCount(runtime, "checkpoints"),
  ];
  for (let i = 0; i < 10; i++) claude.use("Bash", { command: "git status" });
  const after = saves();
  runtime.wait(1_000);
  for (let i = 0; i < 5; i++) claude.use("Bash", { command: "git status" });
  expect(saves()).toEqual(after);
});

it("[CP6] a file that has changed is a new state, also when the chat said nothing", () => {
  const runtime = tempRuntime();
  const path = join(aProject(), "a.ts");
  writeFileSync(path, "one");
  begin(runtime);
  save(runtime, { files: [path] });
  writeFileSync(path, "two");
  expect(save(runtime)).toMatchObject({ value: { isNew: true } });
  expect(save(runtime)).toMatchObject({ value: { isNew: false } });
});

it("[CP15] nothing is stored of a session that is unknown, or of which nothing is known", () => {
  const runtime = tempRuntime();
  expect(save(runtime)).toEqual({ ok: false, error: { code: "unknown_session" } });
  begin(runtime, aProject());
  expect(save(runtime)).toEqual({ ok: false, error: { code: "nothing_to_save" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("[CP15] a session that is deleted while its state is put together is not stored again", () => {
  const runtime = tempRuntime();
  begin(runtime);
  say(runtime, "private plans");
  const racing = meanwhile(runtime, () =>
    runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id = 's1'")),
  );
  expect(capture(racing, { sessionId: "s1", trigger: "time" })).toMatchObject({ error: { code: "unknown_session" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("[CP7] over the limit the tail of the conversation is shortened; what the chat gave is refused with its size, never cut", () => {
  const runtime = tempRuntime({ config: { checkpoint: { maxBytes: 8_000 } } });
  begin(runtime);
  for (let turn = 0; turn < 20; turn++) say(runtime, `${turn} ${"x".repeat(1_000)}`);
  expect(save(runtime)).toMatchObject({ ok: true });
  const seq = all(runtime)[0]?.seq ?? 0;
  const state = runtime.store.read((sql) => checkpoints.requireState(sql, seq), null);
  expect(state?.conversation.at(-1)?.text).toMatch(/^19 /);
  expect(state?.conversation.length).toBeLessThan(10);
  const refused = save(runtime, {
    decisions: Array.from({ length: 10 }, (_, index) => `${index} ${"d".repeat(1_000)}`),
  });
  expect(refused).toMatchObject({ ok: false, error: { code: "too_large", maxBytes: 8_000, largest: "decisions" } });
  expect(all(runtime)).toHaveLength(1);
});

it("[CP3] a damaged checkpoint is found out; the state is made from the one before and the journal", () => {
  const runtime = tempRuntime();
  begin(runtime);
  say(runtime, "one");
  save(runtime, { goal: "the goal" });
  say(runtime, "two");
  save(runtime);
  const [newest] = all(runtime);
  const seq = newest?.seq ?? 0;
  for (const damage of ["zeroblob(40)", "substr(body, 1, 10)"]) {
    runtime.store.write((sql) => sql.run(`UPDATE checkpoints SET body = ${damage} WHERE seq = ?`, seq));
    expect(() => runtime.store.read((sql) => checkpoints.requireState(sql, seq), null)).toThrow(/is damaged/);
    expect(runtime.store.read((sql) => currentState(sql, "s1"), null)).toMatchObject({
      goal: "the goal",
      lastPrompt: "two",
    });
  }
  expect(save(runtime)).toMatchObject({ value: { isNew: true } });
  runtime.store.write((sql) => sql.run("UPDATE checkpoints SET body = zeroblob(40)"));
  expect(runtime.store.read((sql) => currentState(sql, "s1"), null)).toMatchObject({ goal: null, lastPrompt: "two" });
  expect(() => runtime.store.read((sql) => checkpoints.requireState(sql, 999), null)).toThrow(
    /no checkpoint number 999/,
  );
  expect(runtime.store.read((sql) => checkpoints.findState(sql, 999), null)).toBeNull();
});

it("[CP16] two processes that save one session lose nothing of each other, also with states kept in memory", () => {
  const runtime = tempRuntime();
  const other = tempRuntime({ beside: runtime });
  begin(runtime);
  const [mine, theirs]: RecentStates[] = [new Map(), new Map()];
  save(runtime, { goal: "goal" }, mine);
  save(other, { nextStep: "next" }, theirs);
  save(runtime, { decisions: ["decided"] }, mine);
  save(other, { done: ["done"] }, theirs);
  const known = { goal: "goal", nextStep: "next", decisions: ["decided"], done: ["done"] };
  expect(runtime.store.read((sql) => currentState(sql, "s1"), null)).toMatchObject(known);
});

it("[CP16] a save that is overtaken by another process builds on that one's checkpoint", () => {
  const runtime = tempRuntime();
  const other = tempRuntime({ beside: runtime });
  begin(runtime);
  save(runtime, { goal: "goal" });
  const racing = meanwhile(runtime, () => save(other, { nextStep: "next" }));
  capture(racing, { sessionId: "s1", trigger: "time", notes: { done: ["done"] } });
  const known = { goal: "goal", nextStep: "next", done: ["done"] };
  expect(runtime.store.read((sql) => currentState(sql, "s1"), null)).toMatchObject(known);
  expect(all(runtime)).toHaveLength(3);
});

it("[CP16] a state kept in memory is not taken for another checkpoint that got the deleted one's place", () => {
  const runtime = tempRuntime();
  begin(runtime);
  const recent: RecentStates = new Map();
  save(runtime, { goal: "deleted" }, recent);
  runtime.store.write((sql) => sql.run("DELETE FROM checkpoints"));
  save(runtime, { goal: "other" });
  save(runtime, { nextStep: "next" }, recent);
  expect(runtime.store.read((sql) => currentState(sql, "s1"), null)).toMatchObject({ goal: "other", nextStep: "next" });
});

it("[CP11] [CP51] a checkpoint in git records branch and commit, and requests the files; only the newest request counts", () => {
  const runtime = tempRuntime();
  const project = aProject();
  begin(runtime, project);
  save(runtime, { goal: "one" });
  save(runtime, { goal: "two" });
  expect(runtime.store.read((sql) => currentState(sql, "s1"), null)?.git).toEqual({
    branch: "main",
    commit: "a1".repeat(20),
  });
  const states = runtime.store.read(
    (sql) => sql.all<{ state: string }>("SELECT state FROM snapshots ORDER BY at, checkpoint_id"),
    [],
  );
  expect(states.map(({ state }) => state).sort()).toEqual(["pending", "skipped"]);
  rmSync(join(project, ".git"), { recursive: true });
  expect(save(runtime, { goal: "three" })).toMatchObject({ ok: true });
});

it("[CP51] where snapshots are switched off none is asked for", () => {
  const runtime = tempRuntime({ config: { snapshots: { isEnabled: false } } });
  begin(runtime, aProject());
  save(runtime, { goal: "one" });
  expect(rowCount(runtime, "snapshots")).toBe(0);
});

it("[CP12] a session that was offered a dead one keeps its goal, for the brief of the third", () => {
  const { runtime, claude: first } = aChat();
  first.turn("write the importer");
  first.kill();
  const second = new Claude(runtime, { cwd: first.cwd, pid: 2_000, session: "second-session" });
  second.start();
  second.turn("go on");
  second.kill();
  const third = new Claude(runtime, { cwd: first.cwd, pid: 3_000, session: "third-session" });
  const brief = third.start();
  expect(brief).toContain("goal: write the importer (the session before)");
  expect(brief).toContain(
    `before it: session ${first.session} had died and was handed to it; goal: write the importer`,
  );
});

it("[CP17] the cost of a save does not grow with the history: every query goes through an index", () => {
  const asked: [string, unknown[]][] = [];
  const driver = (options: OpenOptions): Connection => watched(openBetterSqlite3(options), asked);
  const { runtime, claude } = aChat({ driver });
  claude.start();
  claude.turn("fix it");
  asked.length = 0;
  claude.prompt("more");
  claude.use("Bash", { command: "ls" });
  claude.stop("Done again.");
  const queries = asked.filter(
    ([query]) => /^\s*(SELECT|INSERT|UPDATE|DELETE)/.test(query) && !query.includes("sqlite_schema"),
  );
  const plans = queries.map(([query, values]) => ({
    query,
    plan: runtime.store
      .read((sql) => sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...(values as string[])), [])
      .map(({ detail }) => detail),
  }));
  expect(plans.length).toBeGreaterThan(20);
  expect(plans.filter(({ plan }) => plan.some(isWhole))).toEqual([]);
});

/** Reads a table from end to end; the two small indexes hold only open sessions. */
function isWhole(step: string): boolean {
  return /^SCAN (?:sessions|journal|checkpoints|signals|c)\b/.test(step) && !/USING INDEX sessions_o/.test(step);
}

function watched(connection: Connection, asked: [string, unknown[]][]): Connection {
  const { driver } = connection;
  return {
    ...connection,
    driver,
    all: (query, ...values) => {
      asked.push([query, values]);
      return connection.all(query, ...values);
    },
    run: (query, ...values) => {
      asked.push([query, values]);
      return connection.run(query, ...values);
    },
  };
}

import { expect, it } from "vitest";
import { causeOf, findIncomplete, type SessionSearch } from "#src/machine/recovery/incomplete/detect.ts";
import { isDead } from "#src/machine/recovery/incomplete/liveness.ts";
import type { Sql } from "#src/shared/sql.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { storedSession } from "#harness/machine/claude.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Made extends Partial<Pick<sessions.Session, "id" | "project">> {
  readonly pid?: number;
  readonly isEmpty?: boolean;
}

function aSession(runtime: TempRuntime, { id = "s1", pid, project = "/p", isEmpty = false }: Made = {}): void {
  const owner = pid === undefined ? null : runtime.processes.start(pid);
  runtime.wait(1);
  runtime.store.write((sql) => {
    const sighting = { id, client: "test", origin: "startup", project, owner, isAlive: true };
    sessions.recordSighting(sql, runtime.now(), sighting);
    if (!isEmpty) journal.append(sql, id, runtime.now(), "k", { kind: "prompt", text: "do it" });
  });
}

function found(runtime: TempRuntime, search: SessionSearch = {}): string[] {
  return runtime.store
    .read((sql) => findIncomplete(sql, runtime.processes, runtime.now(), search), [])
    .map(({ session }) => session.id);
}

it("incomplete is what has no end mark, no living owner and something to recover, newest first", () => {
  const runtime = tempRuntime();
  for (const id of ["dead", "alive", "empty", "ended", "newest"]) {
    aSession(runtime, { id, pid: 10 + id.length + id.charCodeAt(0), isEmpty: id === "empty" });
    if (id !== "alive") runtime.processes.kill(10 + id.length + id.charCodeAt(0));
  }
  runtime.store.write((sql) => sessions.end(sql, T0, "ended", "other"));
  expect(found(runtime)).toEqual(["newest", "dead"]);
  expect(found(runtime, { except: "newest" })).toEqual(["dead"]);
  expect(found(runtime, { limit: 1 })).toEqual(["newest"]);
});

it("a dead session is found behind any number of newer ones that live or hold nothing", () => {
  const runtime = tempRuntime();
  aSession(runtime, { id: "dead", pid: 10 });
  runtime.processes.kill(10);
  for (let n = 0; n < 1_100; n++) aSession(runtime, { id: `newer-${n}`, pid: 1_000 + n, project: n % 2 ? "/p" : null });
  expect(found(runtime)).toEqual(["dead"]);
  expect(found(runtime, { project: "/p" })).toEqual(["dead"]);
  expect(found(runtime, { project: "/q" })).toEqual([]);
  expect(found(runtime, { project: null })).toEqual([]);
});

it("a session that never had an owner process is dead when it was detached, or silent for ten minutes", () => {
  const runtime = tempRuntime();
  aSession(runtime);
  const isGone = (): boolean => isDead(storedSession(runtime, "s1"), runtime.processes, runtime.now());
  expect(isGone()).toBe(false);
  runtime.wait(600_001);
  expect(isGone()).toBe(true);
  aSession(runtime, { id: "s2" });
  runtime.store.write((sql) => sessions.detach(sql, runtime.now(), "s2", "stdin_end"));
  expect(isDead(storedSession(runtime, "s2"), runtime.processes, runtime.now())).toBe(true);
});

it("a search is for one project, for sessions without any, or for all", () => {
  const runtime = tempRuntime();
  for (const [pid, [id, project]] of Object.entries({ here: "/p", there: "/q", nowhere: null }).entries())
    aSession(runtime, { id, pid, project });
  runtime.processes.reboot();
  expect(found(runtime)).toEqual(["nowhere", "there", "here"]);
  expect([found(runtime, { project: "/p" }), found(runtime, { project: null })]).toEqual([["here"], ["nowhere"]]);
});

it("a long history costs nothing: finished sessions are not read", () => {
  const runtime = tempRuntime();
  runtime.store.write((sql) => {
    sql.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO sessions (id, client, project, origin, startedAt, lastSeenAt, endedAt)
       SELECT 'old' || i, 'claude-code', '/p', 'startup', i, i, i FROM n`,
    );
    sql.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
       INSERT INTO checkpoints (id, session, at, trigger, hash, journalSeq, rawBytes, redactions, summary, body)
       SELECT 'cp' || i, 'old' || (i % 10000), i, 'time', 'h', 0, 0, 0, 's', x'00' FROM n`,
    );
  });
  aSession(runtime, { id: "dead", pid: 5 });
  runtime.processes.kill(5);
  const plans: string[][] = [];
  runtime.store.read((sql) => {
    const all: Sql["all"] = (query, ...values) => {
      const plan = sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...values);
      plans.push(plan.map(({ detail }) => detail));
      return sql.all(query, ...values);
    };
    const watched = { run: sql.run.bind(sql), all };
    const incomplete = findIncomplete(watched, runtime.processes, runtime.now(), { project: "/p" });
    expect(incomplete.map(({ session }) => session.id)).toEqual(["dead"]);
  }, undefined);
  expect(plans.length).toBeGreaterThan(0);
  expect(plans.length).toBeLessThan(10);
  const scans = plans.flat().filter((plan) => plan.startsWith("SCAN") && !/sessions_o|CONSTANT ROW/.test(plan));
  expect(scans).toEqual([]);
});

it("an offer to a chat that is still to be started holds for a minute; a chat that lives keeps it", () => {
  const runtime = tempRuntime();
  aSession(runtime, { id: "dead", pid: 1 });
  runtime.processes.kill(1);
  const record = (action: "offered" | "taken"): void =>
    runtime.store.write((sql) => {
      sessions.setRecovery(sql, runtime.now(), "dead", "offered", "later");
      recoveries.add(sql, { at: runtime.now(), session: "dead", action, by: "later" });
    });
  record("offered");
  expect(found(runtime, { isFree: true })).toEqual([]);
  runtime.wait(60_001);
  expect(found(runtime, { isFree: true })).toEqual(["dead"]);
  aSession(runtime, { id: "later", pid: 2 });
  expect([found(runtime), found(runtime, { isFree: true })]).toEqual([["dead"], []]);
  record("taken");
  expect(found(runtime)).toEqual([]);
  runtime.store.write((sql) => sessions.setRecovery(sql, runtime.now(), "dead", "dismissed", null));
  runtime.processes.kill(2);
  expect(found(runtime)).toEqual(["later"]);
});

it("why it died follows from its journal, its end and its owner", () => {
  const runtime = tempRuntime();
  aSession(runtime, { pid: 1 });
  runtime.processes.kill(1);
  const causeAfter = (change: (sql: Sql) => unknown): unknown => {
    runtime.store.write(change);
    const session = storedSession(runtime, "s1");
    return runtime.store.read((sql) => causeOf(sql, session, runtime.processes).cause, null);
  };
  expect(causeAfter(() => null)).toBe("killed");
  expect(causeAfter((sql) => sessions.detach(sql, T0, "s1", "interrupted"))).toBe("closed");
  const limit = { kind: "failure", text: "usage limit", limit: { resetsAtMs: null } } as const;
  expect(causeAfter((sql) => journal.append(sql, "s1", T0, "f", limit))).toBe("usage_limit");
  expect(causeAfter((sql) => journal.append(sql, "s1", T0, "p", { kind: "prompt", text: "again" }))).toBe("closed");
});

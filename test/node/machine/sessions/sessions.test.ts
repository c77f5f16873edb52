import { expect, it } from "vitest";
import * as clients from "#src/machine/sessions/clients.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { rowCount, storedSession } from "#harness/machine/claude.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

function see(runtime: TempRuntime, overrides: Partial<sessions.Sighting> = {}): sessions.Session {
  const sighting = { id: "s1", client: "claude-code", origin: "startup", owner: null, isAlive: true, ...overrides };
  return runtime.store.write((sql) => sessions.recordSighting(sql, runtime.now(), sighting));
}

it("the first sign of life makes the session, later ones refresh it; its project and origin stay", () => {
  const runtime = tempRuntime();
  const owner = runtime.processes.start(7);
  const first = { project: null, cwd: "/p/a", startedAt: T0, lastSeenAt: T0, owner: null };
  expect(see(runtime, { cwd: "/p/a" })).toMatchObject(first);
  runtime.wait(5);
  see(runtime, { project: "/p", owner, model: "m", origin: "resume" });
  runtime.wait(5);
  const kept = { project: "/p", cwd: "/tmp", model: "m", origin: "startup", owner, startedAt: T0 };
  expect(see(runtime, { project: "/tmp", cwd: "/tmp" })).toMatchObject({ ...kept, lastSeenAt: T0 + 10 });
  runtime.clock.now = T0 - 1_000;
  expect(see(runtime).lastSeenAt).toBe(T0 + 10);
});

it("the first detachment is kept, and does not end the session; after the end there is none", () => {
  const runtime = tempRuntime();
  see(runtime);
  runtime.store.write((sql) => {
    sessions.detach(sql, T0 + 1, "s1", "sigint");
    sessions.detach(sql, T0 + 2, "s1", "stdin_end");
  });
  expect(storedSession(runtime, "s1")).toMatchObject({ detachedAt: T0 + 1, detachReason: "sigint", endedAt: null });
  see(runtime, { id: "s2" });
  runtime.store.write((sql) => {
    sessions.end(sql, T0, "s2", "clear");
    sessions.detach(sql, T0 + 1, "s2", "sigint");
  });
  expect(storedSession(runtime, "s2").detachedAt).toBeNull();
});

it("sessions are listed newest first, by project and time, and found by the beginning of their id", () => {
  const runtime = tempRuntime();
  for (const [index, id] of ["aa1", "aa2", "b"].entries()) {
    runtime.clock.now = T0 + index;
    see(runtime, { id, project: id === "b" ? "/q" : "/p" });
  }
  const list = (filter: sessions.SessionFilter): string =>
    runtime.store
      .read((sql) => sessions.list(sql, filter), [])
      .map(({ id }) => id)
      .join(" ");
  const filters = [{}, { project: "/p" }, { since: T0 + 2 }, { limit: 1 }];
  expect(filters.map(list)).toEqual(["b aa2 aa1", "aa2 aa1", "b", "b"]);
  const named = (prefix: string): string =>
    runtime.store
      .read((sql) => sessions.byPrefix(sql, prefix), [])
      .map(({ id }) => id)
      .join(" ");
  expect(["aa", "aa2", "c", ""].map(named)).toEqual(["aa1 aa2", "aa2", "", "aa1 aa2"]);
});

it("counts add up, the title is set once, and what is not given stays", () => {
  const runtime = tempRuntime();
  see(runtime);
  runtime.store.write((sql) => {
    sessions.update(sql, "s1", { toolCalls: 2, toolErrors: 1, title: "first", transcriptOffset: 7 });
    sessions.update(sql, "s1", { toolCalls: 1, title: "second", model: "m" });
    sessions.markSaved(sql, T0 + 9, "s1", "third");
  });
  const expected = { toolCalls: 3, toolErrors: 1, title: "first", model: "m", transcriptOffset: 7, savedAt: T0 + 9 };
  expect(storedSession(runtime, "s1")).toMatchObject(expected);
});

it.each([
  ["endedAt IS NULL AND recovery IS NULL ORDER BY startedAt DESC LIMIT 500", "sessions_open"],
  ["recovery = 'offered'", "sessions_offered"],
])("the search for open sessions uses an index that holds only those: %s", (condition, index) => {
  const runtime = tempRuntime();
  see(runtime);
  const explain = `EXPLAIN QUERY PLAN SELECT * FROM sessions WHERE ${condition}`;
  expect(JSON.stringify(runtime.store.read((sql) => sql.all(explain), []))).toContain(`USING INDEX ${index}`);
});

it("a client process is in one session at a time: its row is replaced; another process of the same number has its own", () => {
  const runtime = tempRuntime();
  const client = runtime.processes.start(7);
  const current = (): ReturnType<typeof clients.current> =>
    runtime.store.read((sql) => clients.current(sql, client), null);
  expect(current()).toBeNull();
  for (const session of ["a", "b"]) {
    runtime.store.write((sql) => clients.moveTo(sql, T0, client, { givenId: "given", session }));
    expect(current()).toEqual({ givenId: "given", session });
  }
  const again = runtime.processes.start(7);
  expect(runtime.store.read((sql) => clients.current(sql, again), null)).toBeNull();
  expect(rowCount(runtime, "clients")).toBe(1);
});

it("rows of clients of an earlier boot go when they are old; those of this boot stay", () => {
  const runtime = tempRuntime();
  const client = runtime.processes.start(7);
  runtime.store.write((sql) => clients.moveTo(sql, T0, client, { givenId: "a", session: "a" }));
  const leftAfter = (before: number): number => {
    runtime.store.write((sql) => clients.prune(sql, runtime.processes.boot(), before));
    return rowCount(runtime, "clients");
  };
  expect(leftAfter(T0 + 1)).toBe(1);
  runtime.processes.reboot();
  expect([leftAfter(T0), leftAfter(T0 + 1)]).toEqual([1, 0]);
});

import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Sql } from "#src/shared/sql.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { exportLines, importLines, type ExportFilter, type ImportResult } from "#src/store/transfer.ts";
import type { Store } from "#src/store/store.ts";
import { addCheckpoint, addJournal, addSession, found } from "#harness/store/store-test.ts";
import { plantRest, searched, T0, tempStore } from "#harness/store/store-test.ts";
import { aState } from "#harness/machine/temp-runtime.ts";

const TABLES = ["sessions", "journal", "checkpoints", "signals", "crashes", "recoveries"];

it("an export is one header and one JSON record a line, with every column of a session but its machine and process", () => {
  const store = filled();
  const lines = exported(store).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines[0]).toEqual({ type: "header", format: "shim-export", version: 3, exportedAt: T0 + 5 });
  const one = "session journal journal journal checkpoint checkpoint signal crash recovery";
  expect(lines.slice(1).map(({ type }) => type)).toEqual(`${one} session checkpoint`.split(" "));
  expect(lines[5]).toMatchObject({ state: aState({ goal: "first" }), session: "one" });
  expect(JSON.stringify(lines)).not.toContain("owner");
  const columns = found(store, "SELECT name FROM pragma_table_info('sessions')");
  // How the processes of this machine have watched it.
  const marks = ["riskMark", "workedAt"];
  const all = ["type", ...columns].filter((name) => !["machine", "owner", "waiting", ...marks].includes(String(name)));
  expect(new Set(Object.keys(lines[1] ?? {}))).toEqual(new Set(all));
});

it("a large store is read in portions", () => {
  const { store } = tempStore(openBetterSqlite3);
  store.write((sql) => {
    for (let n = 0; n < 250; n++) addSession(sql, { id: `s${n}` });
    for (let n = 0; n < 250; n++) addJournal(sql, { session: "s7", key: `k${n}` });
  });
  expect(exported(store)).toHaveLength(501);
});

it("what is exported is restored whole in another store, and a second time adds nothing", () => {
  const store = filled();
  const other = tempStore(openBetterSqlite3).store;
  expect(imported(other, exported(store))).toEqual({ added: 11, skipped: 0, refused: [] });
  expect(contents(other)).toEqual(contents(store));
  expect(exported(other)).toEqual(exported(store));
  expect(other.write((sql) => searched(sql, "newest"))).toHaveLength(1);
  expect(imported(other, exported(store))).toEqual({ added: 0, skipped: 11, refused: [] });
  expect(imported(store, exported(store))).toEqual({ added: 0, skipped: 11, refused: [] });
});

it("places in the journal are those of the new store", () => {
  const store = filled();
  const other = tempStore(openBetterSqlite3).store;
  other.write((sql) => {
    for (let n = 0; n < 10; n++) addJournal(sql, { session: "mine", key: `k${n}` });
  });
  imported(other, exported(store));
  const folded = "SELECT journalSeq FROM checkpoints WHERE session = 'one' ORDER BY seq";
  expect(found(other, folded)).toEqual([11, 12]);
  expect(found(other, "SELECT seq FROM journal WHERE key = 'after'")).toEqual([13]);
});

it("a newer state of a known session is added, an older one that was pruned here is not", () => {
  const store = filled();
  const early = exported(store, { session: "one" });
  store.write((sql) => sql.run("DELETE FROM checkpoints WHERE id = 'cp1'"));
  expect(imported(store, early)).toMatchObject({ added: 0 });
  store.write((sql) => sql.run("DELETE FROM checkpoints WHERE id = 'cp2'"));
  expect(imported(store, early)).toMatchObject({ added: 2 });
});

it("one bad line, and nothing is added; each is named with its number", () => {
  const store = filled();
  const good = exported(store);
  const [header = "", session = "", journal = ""] = good;
  const other = tempStore(openBetterSqlite3).store;
  other.write((sql) => addSession(sql, { id: "mine" }));
  const cases: [string[], number, RegExp][] = [
    [[], 1, /empty/],
    [["no json"], 1, /not one JSON value/],
    [good.slice(1), 1, /the first line must say format "shim-export", version 3/],
    [[header.replace('"version":3', '"version":2'), ...good.slice(1)], 1, /version 3/],
    [[...good, "{}"], 13, /type/],
    [[...good, session], 13, /session one appears twice/],
    [[header, journal], 2, /must follow the line of that session/],
    [[...good.slice(0, 3), journal], 4, /out of order/],
    [good.map((line) => line.replace('"goal":"first"', '"goal":"other"')), 6, /cp1 was changed/],
    [good.map((line) => line.replace('"done":[]', '"done":[1]')), 6, /state.done/],
    [good.map((line) => line.replace('"kind":"prompt","text":"text"', '"kind":"prompt","text":5')), 3, /body.text/],
    [good.map((line) => line.replace('"startedAt":', '"startedAt":-')), 2, /startedAt/],
    [good.map((line) => line.replace('"id":"one"', '"id":"one\\u0000"')), 2, /id: .*letters, digits/],
    [[header, `"${"x".repeat(16 * 1024 * 1024)}"`], 2, /longer than/],
    [[header, `${"[".repeat(200_000)}${"]".repeat(200_000)}`], 2, /not one JSON value/],
  ];
  for (const [lines, line, reason] of cases) {
    const answer = imported(other, lines);
    expect([answer.added, answer.skipped]).toEqual([0, 0]);
    expect([line, answer.refused[0]]).toEqual([line, { line, reason: expect.stringMatching(reason) as string }]);
  }
  expect(imported(other, [...good, ...Array.from({ length: 1_000 }, () => "rubbish")]).refused).toHaveLength(20);
  expect(contents(other).map((rows) => rows.length)).toEqual([1, 0, 0, 0, 0, 0]);
  expect(imported(other, [...good, "", " "])).toMatchObject({ added: 11, refused: [] });
});

it("an import that is interrupted adds nothing", () => {
  const store = filled();
  const other = tempStore(openBetterSqlite3).store;
  function* interrupted(): Generator<string> {
    yield* exported(store).slice(0, 5);
    throw new Error("interrupted");
  }
  expect(() => importLines(other, interrupted)).toThrow("interrupted");
  expect(contents(other).flat()).toEqual([]);
});

it("no input makes an import throw or leave a part of it @night", () => {
  const store = filled();
  const good = exported(store);
  const other = tempStore(openBetterSqlite3).store;
  other.write((sql) => addSession(sql, { id: "mine" }));
  const before = contents(other);
  const mutated = fc.tuple(fc.nat(good.length - 1), fc.nat(), fc.oneof(fc.string(), fc.json()));
  const property = fc.property(mutated, ([index, at, put]) => {
    const line = good[index] ?? "";
    const cut = at % (line.length + 1);
    const answer = imported(other, good.with(index, line.slice(0, cut) + put + line.slice(cut + 1)));
    if (answer.refused.length > 0) expect(contents(other)).toEqual(before);
    const owned = TABLES.map((table) => [table, table === "sessions" ? "id" : "session"]);
    for (const [table, owner] of owned) other.write((sql) => sql.run(`DELETE FROM ${table} WHERE ${owner} <> 'mine'`));
  });
  fc.assert(property, { numRuns: 300 });
});

function filled(): Store {
  const { store } = tempStore(openBetterSqlite3);
  store.write((sql) => {
    addSession(sql, { id: "one" });
    const first = addJournal(sql, { session: "one", key: "first" });
    const second = addJournal(sql, { session: "one", key: "second" });
    addJournal(sql, { session: "one", key: "after" });
    addCheckpoint(sql, { id: "cp1", session: "one", journalSeq: first, state: aState({ goal: "first" }) });
    const state = aState({ goal: "second", state: { b: 1, a: ["ä", null, 0.5], "2": { "1": true } } });
    const about = { id: "cp2", session: "one", at: T0 + 1, journalSeq: second };
    addCheckpoint(sql, { ...about, summary: "the newest", state });
    plantRest(sql, "one", "x");
    addSession(sql, { id: "two", project: "/q", lastSeenAt: T0 + 1, endedAt: T0 + 1 });
    addCheckpoint(sql, { id: "cp3", session: "two", state: aState() });
  });
  return store;
}

function exported(store: Store, filter: ExportFilter = {}): string[] {
  return store.read((sql) => [...exportLines(sql, T0 + 5, filter)], []);
}

const imported = (store: Store, lines: string[]): ImportResult => importLines(store, () => lines);

function contents(store: Store): unknown[][] {
  return store.read((sql: Sql) => TABLES.map((table) => sql.all(`SELECT * FROM ${table} ORDER BY 1, 2`)), []);
}

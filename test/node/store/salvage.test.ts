import * as fc from "fast-check";
import { copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { expect, it, vi } from "vitest";
import type { Paths } from "#src/platform/paths.ts";
import type { Sql } from "#src/shared/sql.ts";
import { decode } from "#src/store/checkpoint-body.ts";
import { withConnection, type Connection } from "#src/store/driver.ts";
import { addCheckpoint, addJournal, addSession, column } from "#harness/store/store-test.ts";
import { driver, openStore, T0, tempHome, tempStore } from "#harness/store/store-test.ts";

const PAGE = 4_096;
const CHECKPOINTS = 45;
const SESSIONS = 12;
/** For a longer run: SHIM_SALVAGE_RUNS=500 SHIM_SALVAGE_SEED=9. */
const RUNS = Number(process.env["SHIM_SALVAGE_RUNS"] ?? 15);
const SEED = Number(process.env["SHIM_SALVAGE_SEED"] ?? 1);
/** For all runs of a property, in ms: a run takes tens of them. */
const withinMs = RUNS * 2_600;
vi.setConfig({ testTimeout: withinMs * 1.5 });
const zeros = Array.from({ length: PAGE }, () => 0);

it("a damaged head costs nothing, whichever bytes it is", () => {
  const heads: readonly [offset: number, bytes: readonly number[]][] = [
    [0, [0x78, 0x78]],
    [16, [0xff, 0xff]],
    [16, [0x20, 0x00]],
    [18, [9, 9]],
    [20, [77]],
    [21, [0, 0, 0]],
    [28, [0x7f, 0xff, 0xff, 0xff]],
    [44, [0, 0, 0, 99]],
    [56, [0, 0, 0, 3]],
    [0, Array.from({ length: 100 }, () => 0xff)],
  ];
  for (const [offset, bytes] of heads) {
    const { paths, whole } = aDamagedStore((path) => overwrite(path, offset, bytes));
    expect([offset, rowsOf(paths)]).toEqual([offset, whole]);
  }
});

it("a damaged schema costs nothing, as the new store has the same one", () => {
  const garbage = Array.from({ length: PAGE }, (_, n) => (n * 7) % 256);
  for (const page of [0, 1]) {
    const { paths, whole } = aDamagedStore((path) => {
      const pages = pagesOf(path, "sqlite_schema", "%");
      expect(pages.length).toBeGreaterThan(1);
      overwritePage(path, pages[page], garbage);
    });
    expect(rowsOf(paths)).toEqual(whole);
  }
});

it("rows between two damaged pages are taken over, and what lost its session gets one", () => {
  const { paths, whole } = aDamagedStore((path) => {
    const leaves = pagesOf(path, "checkpoints");
    for (const share of [0.25, 0.75]) overwritePage(path, leaves[Math.floor(leaves.length * share)], zeros);
    for (const leaf of pagesOf(path, "sessions")) overwritePage(path, leaf, zeros);
  });
  const found = rowsOf(paths);
  expect([found.checkpoints[0]?.seq, found.checkpoints.at(-1)?.seq]).toEqual([1, CHECKPOINTS]);
  expect(found.checkpoints.some(({ seq }) => seq > CHECKPOINTS * 0.4 && seq < CHECKPOINTS * 0.6)).toBe(true);
  expect(found.sessions.map(({ id }) => id)).toEqual(whole.sessions.map(({ id }) => id));
  const query = "SELECT min(startedAt), max(startedAt), min(lastSeenAt), max(lastSeenAt) FROM sessions";
  const [row] = reading(paths.database, (sql) => sql.all<object>(query));
  expect(Object.values(row ?? {})).toEqual([T0, T0 + SESSIONS - 1, T0 + CHECKPOINTS - SESSIONS, T0 + CHECKPOINTS - 1]);
});

it("a row whose number or key is damaged costs no other row", () => {
  const { paths, whole } = aDamagedStore((path) => {
    const [checkpoint = 0] = pagesOf(path, "checkpoints");
    overwrite(path, numberOffset(path, checkpoint, 1), [127]);
    const [session = 0] = pagesOf(path, "sessions");
    const start = (session - 1) * PAGE;
    const key = readFileSync(path).indexOf("ses05", start);
    expect(key).toBeLessThan(start + PAGE);
    overwrite(path, key, [...Buffer.from("zzz05")]);
    // SQLite notices none of that by itself.
    overwrite(path, 0, zeros.slice(0, 16));
  });
  const found = rowsOf(paths);
  const others = whole.checkpoints.filter(({ seq }) => seq !== 2);
  expect(found.checkpoints).toEqual(expect.arrayContaining(others));
  expect(found.sessions).toEqual(expect.arrayContaining(whole.sessions.filter(({ id }) => id !== "ses05")));
  expect(found.sessions.map(({ id }) => id)).toContain("ses05");
});

it("a checkpoint whose summary is damaged is taken over with its whole state", () => {
  const { paths, whole } = aDamagedStore((path) => {
    const summary = readFileSync(path).indexOf("summary 20 sss");
    overwrite(path, summary + 12, zeros.slice(0, 4));
    // SQLite notices none of that by itself.
    overwrite(path, 0, zeros.slice(0, 16));
  });
  expect(rowsOf(paths)).toEqual(whole);
});

/** In each run a copy of a whole store is damaged. */
function damagedAnywhere<Damage>(
  damages: (size: number) => fc.Arbitrary<Damage>,
  damage: (path: string, how: Damage, size: number) => void,
  holds: (found: Rows, whole: Rows) => void,
): void {
  const { path, whole } = aWholeStore();
  const { size } = statSync(path);
  const property = fc.property(damages(size), (how) => {
    const paths = aCopyOf(path);
    damage(paths.database, how, size);
    const possible = readableIn(paths.database, size);
    const found = rowsOf(paths);
    holds(found, whole);
    expect(found.checkpoints.map(({ seq }) => seq)).toEqual(expect.arrayContaining(possible));
  });
  fc.assert(property, { numRuns: RUNS, seed: SEED, interruptAfterTimeLimit: withinMs });
}

it("cut anywhere, it takes over all that can be read row by row, and nothing else", () => {
  damagedAnywhere((size) => fc.integer({ min: 1, max: size }), truncateSync, expectPartOf);
});

it("overwritten anywhere, it never fails, and takes over no checkpoint that is not whole", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
  const page = fc.uint8Array({ minLength: PAGE, maxLength: PAGE });
  const damages = (size: number) => {
    const damage = fc.record({ offset: fc.integer({ min: 0, max: size - 1 }), bytes: fc.oneof(bytes, page) });
    return fc.array(damage, { minLength: 1, maxLength: 6 });
  };
  damagedAnywhere(
    damages,
    (path, all, size) => {
      for (const one of all) overwrite(path, one.offset, [...one.bytes].slice(0, size - one.offset));
    },
    (found, whole) => {
      const known = new Set(whole.checkpoints.map(({ goal }) => goal));
      for (const { goal } of found.checkpoints) expect(known).toContain(goal);
    },
  );
});

interface Rows {
  readonly sessions: { readonly id: string; readonly title: string }[];
  readonly journal: { readonly seq: number; readonly body: string }[];
  readonly checkpoints: { readonly seq: number; readonly id: string; readonly goal: string }[];
}

function expectPartOf(found: Rows, whole: Rows): void {
  for (const name of ["journal", "checkpoints"] as const) {
    const known = new Set(whole[name].map((row) => JSON.stringify(row)));
    for (const row of found[name]) expect(known).toContain(JSON.stringify(row));
  }
}

function fill(sql: Sql): void {
  for (let n = 0; n < SESSIONS; n++) addSession(sql, { id: `ses${String(n).padStart(2, "0")}` });
  for (let n = 0; n < CHECKPOINTS; n++) {
    const session = `ses${String(n % SESSIONS).padStart(2, "0")}`;
    const journalSeq = addJournal(sql, { session, key: `k${n}`, text: `${n} `.repeat(200), at: T0 + n });
    const done = Array.from({ length: 90 }, (_, step) => `${n} ${(n * 7919 + step * 104_729) % 65_537}`);
    const summary = `summary ${n} ${"s".repeat(300)}`;
    const state = { goal: `goal ${n}`, done };
    addCheckpoint(sql, { id: `cp${n}`, session, summary, state, journalSeq, at: T0 + n });
  }
}

/** A closed store, and what it holds. */
function aWholeStore(): { readonly path: string; readonly whole: Rows } {
  const { store, paths } = tempStore(driver);
  store.write(fill);
  store.close();
  return { path: paths.database, whole: rowsOf(paths) };
}

function aDamagedStore(damage: (path: string) => void): { readonly paths: Paths; readonly whole: Rows } {
  const { path, whole } = aWholeStore();
  const paths = aCopyOf(path);
  damage(paths.database);
  return { paths, whole };
}

function pagesOf(path: string, table: string, type = "leaf"): number[] {
  const query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype LIKE ? ORDER BY path";
  return reading(path, (sql) => column(sql, query, table, type).map(Number));
}

/** Where the number of a row stands in a leaf of a table (sqlite.org/fileformat2.html, section 1.6): behind the length of the row. */
function numberOffset(path: string, page: number, row: number): number {
  const start = (page - 1) * PAGE;
  const file = readFileSync(path);
  let at = start + file.readUInt16BE(start + 8 + 2 * row);
  while (file.readUInt8(at) >= 0x80) at += 1;
  return at + 1;
}

function aCopyOf(path: string): Paths {
  const paths = tempHome();
  mkdirSync(dirname(paths.database), { recursive: true });
  copyFileSync(path, paths.database);
  return paths;
}

function overwrite(path: string, offset: number, bytes: readonly number[]): void {
  const file = readFileSync(path);
  file.set(bytes, offset);
  writeFileSync(path, file);
}

function overwritePage(path: string, page = 1, bytes: readonly number[]): void {
  overwrite(path, (page - 1) * PAGE, bytes);
}

function reading<T>(path: string, body: (sql: Connection) => T): T {
  return withConnection(driver({ path, readOnly: true, busyMs: 0 }), body);
}

interface Packed {
  readonly seq: number;
  readonly id: string;
  readonly session: string;
  readonly body: Uint8Array;
  readonly hash: string;
}

/** Damage that SQLite does not see is found by the hash. */
function soundRow({ seq, id, body, hash }: Packed): Rows["checkpoints"] {
  try {
    return [{ seq, id, goal: (decode(body, hash) as { goal: string }).goal }];
  } catch {
    return [];
  }
}

function rowsOf(paths: Paths): Rows {
  const store = openStore(driver, paths);
  const rows = store.read<Rows>(
    (sql) => ({
      sessions: sql.all("SELECT id, title FROM sessions ORDER BY id"),
      journal: sql.all("SELECT seq, body FROM journal ORDER BY seq"),
      checkpoints: sql.all<Packed>("SELECT * FROM checkpoints ORDER BY seq").flatMap(soundRow),
    }),
    { sessions: [], journal: [], checkpoints: [] },
  );
  store.close();
  return rows;
}

/** Numbers of the whole checkpoints that are read one by one from a copy that is padded with zeros. */
function readableIn(damaged: string, size: number): number[] {
  const { database } = aCopyOf(damaged);
  truncateSync(database, size);
  try {
    const all = Array.from({ length: CHECKPOINTS }, (_, at) => at + 1);
    return reading(database, (sql) => all.filter((seq) => isReadable(sql, seq)));
  } catch {
    // Not even opened.
    return [];
  }
}

function isReadable(sql: Sql, seq: number): boolean {
  try {
    const rows = sql.all<Packed>("SELECT * FROM checkpoints WHERE seq = ?", seq);
    const isNamed = ({ id, session }: Packed): boolean => /^cp\d+$/.test(id) && /^ses\d+$/.test(session);
    return rows.length === 1 && rows.every(isNamed) && rows.flatMap(soundRow).length === 1;
  } catch {
    return false;
  }
}

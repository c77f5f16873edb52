import * as news from "#src/machine/sessions/news.ts";
import * as snapshotDrops from "#src/store/snapshot-drops.ts";
import { randomBytes } from "node:crypto";
import { readdirSync, statSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import type { Config } from "#src/contract/config.ts";
import { forget, isPurgePending, purge } from "#src/machine/view/keeping/forget.ts";
import { prune, pruneTime } from "#src/machine/view/keeping/retention.ts";
import type { Sql } from "#src/shared/sql.ts";
import { isBackupDue, listBackups } from "#src/store/backup.ts";
import { backUp } from "#src/store/copy-store.ts";
import type { Store } from "#src/store/store.ts";
import { notices, sentNotifications, usageMessages } from "#src/store/machine-tables.ts";
import { setPausedFolder } from "#src/machine/sessions/session-settings.ts";
import { teamCalls, teamContinuations } from "#src/store/team-tables.ts";
import { addCheckpoint, addJournal, addSession, addSnapshot, column, plant } from "#harness/store/store-test.ts";
import { driver, found, openStore, plantRest, searched, T0, tempStore } from "#harness/store/store-test.ts";
import { it } from "#harness/store/store-fixtures.ts";
import * as spool from "#src/store/spool.ts";
import * as fc from "fast-check";
import { join } from "node:path";
import { hasPending, rebuild } from "#src/store/text-index.ts";
import { recoveries } from "#src/store/session-tables.ts";

const DAY = 86_400_000;
const HOUR = DAY / 24;
const LIMITS: Config["retention"] = { maxAgeMs: 30 * DAY, checkpointsPerSession: 50, maxBytes: 2 ** 40, backups: 5 };

function pruned(store: Store, now: number, limits: Partial<typeof LIMITS> = {}): void {
  store.write((sql) => prune(sql, now, { ...LIMITS, ...limits }, 1_000));
}

it("the newest backups are kept, private and whole", async ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  for (let day = 0; day < 4; day++) await backUp(store, T0 + day * DAY, 3);
  const kept = listBackups(paths.backups);
  expect(kept.map(({ at }) => at)).toEqual([T0 + 3 * DAY, T0 + 2 * DAY, T0 + DAY]);
  expect(readdirSync(paths.backups)).toHaveLength(3);
  expect(statSync(kept[0]?.path ?? "").mode & 0o777).toBe(0o600);
  const connection = driver({ path: kept[0]?.path ?? "", readOnly: true, busyMs: 0 });
  expect(column(connection, "SELECT id FROM sessions")).toEqual(["ses"]);
  connection.close();
});

it("a clock set back neither stops backups nor lets old ones replace new ones", async ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  for (let n = 0; n < 3; n++) await backUp(store, T0 + 1_000 * DAY + n, 2);
  expect(isBackupDue(paths.backups, T0, null)).toBe(true);
  const path = await backUp(store, T0, 2);
  expect(listBackups(paths.backups)[0]?.path).toBe(path);
  expect(isBackupDue(paths.backups, T0, null)).toBe(false);
});

it("a copy begun before rows were forgotten is not kept", async ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  const backup = backUp(openStore(driver, paths), T0, 5);
  store.write((sql) => forget(sql, { session: "ses" }));
  const message = expect.stringContaining("try again") as string;
  await expect(backup).rejects.toMatchObject({ code: "store_locked", message });
  expect(readdirSync(paths.backups)).toEqual([]);
});

it("never the newest checkpoint of an incomplete session, however old, many or large", ({ store }) => {
  store.write((sql) => {
    for (const action of ["undone", "offered"] as const) {
      const session = `open ${action}`;
      addSession(sql, { id: session });
      recoveries.append(sql, { session, at: T0, action });
      for (let n = 0; n < 3; n++) {
        const journalSeq = addJournal(sql, { session, key: `k${n}` });
        addCheckpoint(sql, { id: `${session} ${n}`, session, journalSeq: n < 2 ? journalSeq : journalSeq - 1 });
      }
    }
  });
  pruned(store, T0 + 1_000 * DAY, { maxAgeMs: 1, checkpointsPerSession: 1, maxBytes: 1 });
  expect(found(store, "SELECT id FROM checkpoints ORDER BY id")).toEqual(["open offered 2", "open undone 2"]);
  expect(found(store, "SELECT count(*) FROM sessions")).toEqual([2]);
  expect(found(store, "SELECT key FROM journal")).toEqual(["k2", "k2"]);
});

it("a clock that is a year ahead for some minutes has nothing deleted by its age", ({ store }) => {
  store.write((sql) => addSession(sql, { id: "ended", endedAt: T0 }));
  const isKept = (now: number): boolean => {
    const time = store.write((sql) => pruneTime(sql, now));
    pruned(store, time);
    return found(store, "SELECT id FROM sessions").length > 0;
  };
  const ahead = T0 + 365 * DAY;
  for (const now of [T0, T0 + HOUR, ahead, ahead + HOUR / 2, T0 + 2 * HOUR]) expect(isKept(now)).toBe(true);
  for (let day = 1; day <= 30; day++) expect(isKept(T0 + day * DAY)).toBe(true);
  expect(isKept(T0 + 31 * DAY)).toBe(false);
});

it("a session without an end in which nothing ever happened goes when it is old", ({ store }) => {
  store.write((sql) => {
    for (const id of ["empty", "asked", "saved"]) addSession(sql, { id });
    addJournal(sql, { session: "empty" });
    sql.run("UPDATE journal SET kind = 'start'");
    addJournal(sql, { session: "asked" });
    addCheckpoint(sql, { id: "cp", session: "saved" });
    addSession(sql, { id: "young", lastSeenAt: T0 + 2 });
  });
  pruned(store, T0 + 1 + 30 * DAY);
  expect(found(store, "SELECT id FROM sessions ORDER BY id")).toEqual(["asked", "saved", "young"]);
});

it("an old session that is over goes whole, but not what it has to send; crashes stay longer", ({ store }) => {
  store.write((sql) => {
    addSession(sql, { id: "ended", endedAt: T0 });
    addSession(sql, { id: "recovered" });
    addSession(sql, { id: "dismissed" });
    addSession(sql, { id: "young", endedAt: T0, lastSeenAt: T0 + 2 });
    for (const session of ["ended", "recovered", "dismissed", "young"]) {
      addJournal(sql, { session });
      addCheckpoint(sql, { id: session, session });
      plantRest(sql, session, "x");
      news.add(sql, T0, session, "k", { kind: "notice", text: "x" });
      teamContinuations.insert(sql, { session, at: T0 });
    }
    for (const action of ["recovered", "dismissed"] as const)
      recoveries.append(sql, { session: action, at: T0, action });
  });
  store.write((sql) => {
    const tokens = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, isSubagent: false };
    usageMessages.insert(sql, { key: "m1", session: "ended", at: T0, model: "m", day: "2023-11-14", ...tokens });
    teamCalls.append(sql, { session: "ended", workspace: "w", name: "tasks.ack", input: {}, at: T0 });
    sentNotifications.insert(sql, { key: "s1", at: T0 });
    notices.insert(sql, { at: T0, kind: "k", text: "x", acknowledgedAt: T0 + 2 });
  });
  const tables = ["usage_messages", "team_calls", "sent_notifications", "notices"];
  const longer = (): unknown[] => tables.flatMap((table) => found(store, `SELECT count(*) FROM ${table}`));
  pruned(store, T0 + 1 + 30 * DAY);
  expect(longer()).toEqual([1, 1, 1, 1]);
  const owned = ["journal", "checkpoints", "signals", "recoveries", "clients", "team_news", "team_continuations"];
  for (const table of ["sessions", ...owned]) {
    const ids = found(store, `SELECT ${table === "sessions" ? "id" : "session"} FROM ${table}`);
    expect([table, ids]).toEqual([table, ["young"]]);
  }
  expect(found(store, "SELECT count(*) FROM crashes")).toEqual([4]);
  pruned(store, T0 + 90 * DAY);
  expect(longer()).toEqual([1, 1, 1, 0]);
  pruned(store, T0 + 90 * DAY + 1);
  expect(longer()).toEqual([0, 1, 0, 0]);
  pruned(store, T0 + 361 * DAY);
  expect(found(store, "SELECT count(*) FROM crashes")).toEqual([0]);
});

it("of each session the newest checkpoints stay, and old ones go by age", ({ store }) => {
  store.write((sql) => {
    addSession(sql, { lastSeenAt: T0 + 40 * DAY });
    for (let n = 0; n < 10; n++) addCheckpoint(sql, { id: `cp${n}`, at: T0 + n * DAY });
  });
  pruned(store, T0 + 10 * DAY, { checkpointsPerSession: 6 });
  expect(found(store, "SELECT id FROM checkpoints ORDER BY seq")).toEqual(["cp4", "cp5", "cp6", "cp7", "cp8", "cp9"]);
  pruned(store, T0 + 37 * DAY);
  expect(found(store, "SELECT id FROM checkpoints ORDER BY seq")).toEqual(["cp7", "cp8", "cp9"]);
});

it("folded journal rows go after a week, others stay", ({ store }) => {
  store.write((sql) => {
    addSession(sql);
    const folded = addJournal(sql, { key: "old" });
    addJournal(sql, { key: "not folded" });
    addCheckpoint(sql, { journalSeq: folded });
  });
  pruned(store, T0 + 7 * DAY);
  expect(found(store, "SELECT count(*) FROM journal")).toEqual([2]);
  pruned(store, T0 + 7 * DAY + 1);
  expect(found(store, "SELECT key FROM journal")).toEqual(["not folded"]);
});

it("old news that was delivered to a chat goes, undelivered news stays with its session", ({ store }) => {
  store.write((sql) => {
    addSession(sql, { lastSeenAt: T0 + 30 * DAY });
    for (const key of ["delivered", "undelivered", "delivered today"])
      news.add(sql, T0, "ses", key, { kind: "notice", text: key });
    const [delivered, , today] = news.undelivered(sql, "ses", 3);
    news.markDelivered(sql, T0, [delivered!]);
    news.markDelivered(sql, T0 + 30 * DAY, [today!]);
  });
  const left = (): string[] => found(store, "SELECT key FROM team_news ORDER BY seq") as string[];
  pruned(store, T0 + 30 * DAY);
  expect(left()).toEqual(["delivered", "undelivered", "delivered today"]);
  pruned(store, T0 + 30 * DAY + 1);
  expect(left()).toEqual(["undelivered", "delivered today"]);
});

it("a journal number never comes again, even when the newest rows were deleted", ({ store }) => {
  const first = store.write((sql) => addJournal(sql));
  store.write((sql) => sql.run("DELETE FROM journal"));
  expect(store.write((sql) => addJournal(sql))).toBeGreaterThan(first);
});

it("over the total size, oldest checkpoints go first, then sessions that are over", ({ store }) => {
  store.write((sql) => {
    for (const session of ["a", "b"]) {
      addSession(sql, { id: session, endedAt: T0, lastSeenAt: session === "a" ? T0 : T0 + 1 });
      for (let n = 0; n < 20; n++)
        addCheckpoint(sql, { id: `${session}${n}`, session, state: { text: randomBytes(12_000).toString("hex") } });
    }
  });
  const used = (): number => Number(found(store, usedBytes)[0]);
  const half = used() / 2;
  pruned(store, T0, { maxBytes: half });
  expect(used()).toBeLessThanOrEqual(half);
  const left = found(store, "SELECT id FROM checkpoints ORDER BY seq");
  expect(["a19", "b19", "a0"].map((id) => left.includes(id))).toEqual([true, true, false]);
  pruned(store, T0, { maxBytes: 1 });
  expect(found(store, "SELECT id FROM sessions")).toEqual([]);
});

it("the git snapshots of deleted checkpoints wait to be dropped, and keep no content", ({ store }) => {
  store.write((sql) => {
    addSession(sql, { endedAt: T0 });
    addCheckpoint(sql);
    addSnapshot(sql, { checkpoint: "cp", repository: "/home/snapshots/r" });
    addCheckpoint(sql, { id: "never taken" });
    addSnapshot(sql, { checkpoint: "never taken", repository: null });
  });
  pruned(store, T0 + 31 * DAY);
  const drops = store.read((sql) => snapshotDrops.list(sql, 10), []);
  expect(drops).toEqual([{ checkpointId: "cp", repository: "/home/snapshots/r" }]);
  expect(found(store, "SELECT project || detail FROM snapshots")).toEqual(["{}"]);
  store.write((sql) => snapshotDrops.remove(sql, ["cp"]));
  expect(store.read((sql) => snapshotDrops.list(sql, 10), [])).toEqual([]);
});

const usedBytes = `SELECT (page_count - freelist_count) * page_size
  FROM pragma_page_count, pragma_freelist_count, pragma_page_size`;

const MARK = "zqxforgottenzqx";

it("forgetting a session or a project deletes its rows in every table and nothing else", ({ store }) => {
  store.write((sql) => {
    for (const [id, project] of Object.entries({ one: "/p", two: "/p", three: "/q" })) plant(sql, id, project, "x");
  });
  const one = store.write((sql) => forget(sql, { session: "one" }));
  expect(one).toMatchObject({ sessions: ["one"], checkpoints: ["cp one"], rows: 7 });
  const drop = { checkpointId: "cp one", repository: "/snapshots/r" };
  expect(store.read((sql) => snapshotDrops.list(sql, 10), [])).toEqual([drop]);
  expect(store.write((sql) => forget(sql, { project: "/p" })).sessions).toEqual(["two"]);
  for (const table of ["sessions", "journal", "checkpoints", "signals", "crashes", "recoveries", "clients"]) {
    const ids = found(store, `SELECT ${table === "sessions" ? "id" : "session"} FROM ${table}`);
    expect([table, ids]).toEqual([table, ["three"]]);
  }
  expect(store.write((sql) => forget(sql, { session: "unknown" }))).toMatchObject({ checkpoints: [], rows: 0 });
});

it("after a purge no file holds a byte of the forgotten, and the rest is whole", async ({ store, paths }) => {
  store.write((sql) => plant(sql, "kept", "/q", "kept"));
  store.write((sql) => sql.run("UPDATE sessions SET parentId = ?", MARK));
  store.write((sql) => sql.run("UPDATE recoveries SET bySession = ?", MARK));
  store.write((sql) => plant(sql, MARK, `/${MARK}`, MARK));
  store.write((sql) => plant(sql, "other", `/${MARK}`, MARK));
  store.write((sql) => setPausedFolder(sql, "other", `/elsewhere/${MARK}`));
  store.write((sql) => setPausedFolder(sql, "a chat that began in a pause", `/${MARK}`));
  await backUp(store, T0, 5);
  mkdirSync(join(paths.setAside, "000001-x"), { recursive: true });
  writeFileSync(join(paths.setAside, "000001-x", "shim.db"), MARK);
  mkdirSync(paths.unread);
  writeFileSync(join(paths.unread, "1"), MARK);
  spool.append(paths.spool, { at: T0, input: { session_id: MARK, prompt: MARK } });
  spool.append(paths.spool, { at: T0, input: { session_id: "new", cwd: `/${MARK}/sub`, prompt: MARK } });
  spool.append(paths.spool, { at: T0, input: { session_id: "kept", cwd: "/queue" } });
  const other = openStore(driver, paths);
  found(other, "SELECT id FROM sessions");
  expect(filesWith(paths.home, MARK).length).toBeGreaterThan(3);
  store.write((sql) => snapshotDrops.remove(sql, forget(sql, { project: `/${MARK}` }).checkpoints));
  store.write((sql) => forget(sql, { project: "/que" }));
  await purge({ store, paths });
  expect(filesWith(paths.home, MARK)).toEqual([]);
  expect(store.read(isPurgePending, true)).toBe(false);
  expect(found(other, "SELECT id FROM sessions")).toEqual(["kept"]);
  expect(other.write((sql) => searched(sql, "kept"))).toHaveLength(1);
  expect(listBackups(paths.backups)).toHaveLength(1);
  expect(spool.drain(paths.spool, (entry) => expect(entry).toMatchObject({ input: { session_id: "kept" } }))).toBe(1);
  store.write(compare);
});

it("after any history of saved and deleted rows a purge leaves no byte of what was forgotten", async () => {
  const chars = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 3_000, max: 20_000 }));
  const row = fc.record({ session: fc.nat(4), chars, isDeleted: fc.boolean(), isChanged: fc.boolean() });
  const property = fc.asyncProperty(fc.array(row, { minLength: 20, maxLength: 120 }), async (rows) => {
    const { store, paths } = tempStore(driver);
    const textOf = (session: number, chars: number): string => `${session === 0 ? MARK : "other"} `.repeat(chars / 8);
    rows.forEach(({ session, chars, isDeleted, isChanged }, n) =>
      store.write((sql) => {
        addSession(sql, { id: `s${session}` });
        const text = textOf(session, chars);
        addJournal(sql, { session: `s${session}`, key: `${textOf(session, 16)}${n}`, at: n, text });
        if (isDeleted) sql.run("DELETE FROM journal WHERE seq % 5 = ?", n % 5);
        // What a row has held before belongs to what is forgotten.
        if (isChanged) sql.run("UPDATE sessions SET title = ? WHERE id = ?", text, `s${session}`);
        if (isChanged) sql.run("UPDATE sessions SET title = 'short' WHERE id = ?", `s${n % 5}`);
      }),
    );
    store.write((sql) => forget(sql, { session: "s0" }));
    await purge({ store, paths });
    expect(filesWith(paths.home, MARK)).toEqual([]);
    store.close();
  });
  await fc.assert(property, { numRuns: 8, examples: [[movedCells]] });
});

it("a purge that another process holds up says what is left, and succeeds when repeated", async () => {
  const { store, paths } = tempStore(driver, { busyMs: 20 });
  store.write((sql) => plant(sql, MARK, "/p", MARK));
  const reader = openStore(driver, paths).connection();
  reader.run("BEGIN");
  reader.all("SELECT count(*) FROM sessions");
  store.write((sql) => snapshotDrops.remove(sql, forget(sql, { session: MARK }).checkpoints));
  const held = expect.stringMatching(/deleted, but the write-ahead log may still hold.*repeat the command/) as string;
  await expect(purge({ store, paths })).rejects.toMatchObject({ code: "store_locked", message: held });
  expect(store.read(isPurgePending, false)).toBe(true);
  reader.run("COMMIT");
  await purge({ store, paths });
  expect(filesWith(paths.home, MARK)).toEqual([]);
  expect(existsSync(paths.backups)).toBe(false);
});

/** Deleting these rows moves cells within a page, whose copies `secure_delete` leaves. */
const movedCells = [3_000, 1, 1, 1, 1, 14_280, 1, 3_000, 1, 1, 3_000, 1, 1, 1, 1, 488, 1, 15_744, 3_000, 1].map(
  (chars) => ({ session: [488, 15_744].includes(chars) ? 1 : 0, chars, isDeleted: false, isChanged: false }),
);

function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

/** The index against the rows: FTS5's own comparison (sqlite.org/fts5.html 6.4), which fails as damage. */
function compare(sql: Sql): void {
  sql.run("INSERT INTO checkpoints_text (checkpoints_text, rank) VALUES ('integrity-check', 1)");
}

it("whatever is saved, deleted and searched in whatever order, the index finds what is there and nothing else", () => {
  const step = fc.record({ kind: fc.constantFrom("save", "drop", "search", "rebuild"), at: fc.nat(9) });
  const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const { store } = tempStore(driver);
    store.write((sql) => addSession(sql));
    const there = new Set<number>();
    const run = (sql: Sql, { kind, at }: (typeof steps)[number]): void => {
      if (kind === "save" && !there.has(at)) {
        addCheckpoint(sql, { id: `cp${at}`, summary: `word${at} common` });
        there.add(at);
      }
      // The highest number comes again after its row is gone.
      if (kind === "drop" && there.delete(at)) sql.run("DELETE FROM checkpoints WHERE id = ?", `cp${at}`);
      if (kind === "search") expect(searched(sql, "common")).toHaveLength(there.size);
      if (kind === "rebuild") rebuild(sql);
    };
    for (const one of steps) store.write((sql) => run(sql, one));
    for (let at = 0; at < 10; at++) {
      expect(store.write((sql) => searched(sql, `word${at}`))).toHaveLength(there.has(at) ? 1 : 0);
    }
    store.write(compare);
    expect(store.read(hasPending, true)).toBe(false);
    store.close();
  });
  fc.assert(property, { numRuns: 60 });
});

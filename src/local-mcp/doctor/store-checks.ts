import { accessSync, constants, existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Check } from "../../contract/machine/installation.ts";
import { age, pluralize } from "../../shared/format.ts";
import type { OperationContext, LoadedRuntime } from "../../machine/operations/operation-context.ts";
import { messageOf } from "../../shared/error.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { schemaState } from "../../shared/migrate.ts";
import { findIncomplete } from "../../machine/recovery/incomplete/detect.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { listBackups } from "../../store/backup.ts";
import { isPurgePending } from "../../machine/keeping/forget.ts";
import type { Sql } from "../../shared/sql.ts";
import { type AllFound, type Checks, fail, type Found, pass, runAll, warn } from "./checks.ts";

const backupAgeMs = 2 * 86_400_000;
const failuresSinceMs = 7 * 86_400_000;

/** SQLite and the store; makes no store where there is none. */
export async function storeChecks(context: OperationContext): Promise<Check[]> {
  const loaded = await context.loaded();
  const { runtime } = loaded;
  const opened = await runAll({ sqlite, store: integrity }, loaded);
  const isThere = lstatSync(runtime.store.path, { throwIfNoEntry: false }) !== undefined;
  const isOpen = isThere && opened.every(({ state }) => state !== "fail");
  return [
    ...opened,
    ...(isThere ? await runAll({ permissions }, runtime) : []),
    ...(isOpen ? await runAll({ schema, backups, ...contents }, runtime) : []),
  ];
}

function sqlite({ driver, fallbackReason }: LoadedRuntime): Found {
  if (fallbackReason === null) return pass(driver);
  const fix = "It works as well; repeat `npm install` of shim with this Node to get the preferred driver.";
  return warn(`${driver}, the fallback: ${fallbackReason}`, fix);
}

function integrity({ runtime }: LoadedRuntime): Found {
  const { path } = runtime.store;
  if (!lstatSync(path, { throwIfNoEntry: false })) return pass(`nothing is stored yet (${path})`);
  // Throws for a file made by a newer shim.
  runtime.store.read(() => null, null);
  const rows = runtime.store.connection().all<{ integrity_check: string }>("PRAGMA integrity_check(5)");
  const problems = rows.map((row) => row.integrity_check).filter((text) => text !== "ok");
  if (problems.length === 0) return writability(path);
  const fix = `Close all chats, delete ${path}, ${path}-wal and ${path}-shm, then copy the newest file of ${runtime.paths.backups} to ${path}.`;
  return fail(`${path} is damaged: ${problems.join("; ")}`, fix);
}

/** Checks the permission only: a write would wait for another writer. */
function writability(path: string): Found {
  try {
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) accessSync(file, constants.W_OK);
    return pass(`${path} is sound`);
  } catch (error) {
    const fix = "Make your user the owner of the files (chown, chmod u+w); until then nothing can be saved.";
    return fail(`${path} is sound, but cannot be written to (${messageOf(error)})`, fix);
  }
}

function schema({ store }: Runtime): Found {
  const { version } = store.read(schemaState, { version: 0, minReader: 0 });
  const known = store.context.migrations.length;
  if (version <= known) return pass(`version ${version}`);
  const text = `version ${version}, made by a newer shim (this one knows ${known})`;
  return warn(text, "It works; update this copy when you can.");
}

function permissions({ paths: { home } }: Runtime): Found {
  if (process.platform === "win32") return pass("inherited from your user folder");
  const tooOpen = [home, ...readdirSync(home).map((name) => join(home, name))].filter(
    (path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0,
  );
  if (tooOpen.length === 0) return pass(`only you can read ${home}`);
  return fail(`others can read ${tooOpen.join(", ")}`, `chmod -R go= ${home}`);
}

function backups({ paths, now }: Runtime): Found {
  const [newest] = listBackups(paths.backups);
  if (!newest) {
    const fix = "A running chat makes the first one minutes after its first checkpoint, then one each day.";
    return warn("there is no backup yet", fix);
  }
  const ago = now() - newest.at;
  const text = `newest ${basename(newest.path)}, ${age(ago)} ago`;
  return ago > backupAgeMs ? warn(text, "A running chat makes one each day; if one runs, see shim.log.") : pass(text);
}

function inStore(check: (sql: Sql, runtime: Runtime) => AllFound): (runtime: Runtime) => AllFound {
  return (runtime) => runtime.store.read((sql) => check(sql, runtime), []);
}

/** Rows of a week, and the last value of a column of theirs. */
function ofThisWeek(sql: Sql, { now }: Runtime, column: string, from: string): { n: number; last: string | null } {
  const query = `SELECT count(*) AS n, max(${column}) AS last FROM ${from} AND at >= ?`;
  return sql.all<{ n: number; last: string | null }>(query, now() - failuresSinceMs)[0] ?? { n: 0, last: null };
}

const contents: Checks<Runtime> = {
  notice: inStore((sql) =>
    notices.list(sql).map(({ text }) => warn(text, "When you have read it: `shim doctor --acknowledge`.")),
  ),
  paused: inStore((sql, { now }) =>
    pauses
      .list(sql, now())
      .map(({ project }) => warn(`nothing is stored for ${project ?? "every project"}`, "`shim pause --off` ends it.")),
  ),
  forget: inStore((sql) => {
    const fix = "Repeat `shim forget ...` with the same argument.";
    return isPurgePending(sql) ? fail("traces of forgotten data are left", fix) : [];
  }),
  incomplete: inStore((sql, { processes, now }) => {
    const dead = findIncomplete(sql, processes, now(), { limit: 100 }).length;
    if (dead === 0) return pass("no session died unfinished");
    return warn(`${pluralize(dead, "session")} died unfinished`, "`shim sessions --incomplete`, then `shim resume`.");
  }),
  snapshots: inStore((sql, runtime) => {
    const { n, last } = ofThisWeek(sql, runtime, "reason", "snapshots WHERE state = 'failed'");
    if (n === 0) return pass("no failure this week");
    const text = `files of ${pluralize(n, "checkpoint")} were not saved this week: ${last ?? "no reason known"}`;
    return warn(text, "`shim sessions show <id>` names each.");
  }),
  unread: inStore((sql, runtime) => {
    const { n, last } = ofThisWeek(sql, runtime, "session", "journal WHERE kind = 'unread'");
    if (n === 0) return [];
    const text = `${pluralize(n, "event")} took too long to read this week and were only stored`;
    return warn(text, `\`shim sessions show ${last ?? ""}\` shows them; please report what they have in common.`);
  }),
};

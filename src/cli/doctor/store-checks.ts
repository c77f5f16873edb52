import { accessSync, constants, existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf } from "../../shared/error.ts";
import { schemaState } from "../../shared/migrate.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import { findIncomplete } from "../../local-mcp/recovery/detect.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { listBackups } from "../../local-mcp/store/backup.ts";
import { isPurgePending } from "../../local-mcp/store/forget.ts";
import * as notices from "../../local-mcp/store/notices.ts";
import * as pauses from "../../local-mcp/store/pause.ts";
import type { LoadedRuntime } from "../io.ts";
import { many } from "../screen-text.ts";
import { checked, fail, fine, warn, type Check } from "./check.ts";

const backupAgeMs = 2 * 86_400_000;
const failuresSinceMs = 7 * 86_400_000;

/** [CL15] SQLite, the store's file, and what stands in it. Makes no store where there is none. */
export function storeChecks({ runtime, driver, fallbackReason }: LoadedRuntime): Check[] {
  const sqlite = fallbackReason
    ? warn(
        "sqlite",
        `${driver}, the second choice: ${fallbackReason}`,
        "Works as well; repeat `npm install` of shim with this Node for the first choice.",
      )
    : fine("sqlite", driver);
  if (!lstatSync(runtime.store.path, { throwIfNoEntry: false }))
    return [sqlite, fine("store", `nothing is stored yet (${runtime.store.path})`)];
  const opened = checked("store", () => integrity(runtime));
  const isOpen = opened.every(({ state }) => state !== "fail");
  const whenOpen: Record<string, (runtime: Runtime) => Check | readonly Check[]> = { schema, backups, content };
  const checks = { permissions, ...(isOpen ? whenOpen : {}) };
  return [sqlite, ...opened, ...Object.entries(checks).flatMap(([name, check]) => checked(name, () => check(runtime)))];
}

function integrity(runtime: Runtime): Check {
  const { path } = runtime.store;
  // Throws for a file that is made by a newer shim.
  runtime.store.read(() => null, null);
  const rows = runtime.store.connection().all<{ integrity_check: string }>("PRAGMA integrity_check(5)");
  const problems = rows.map((row) => row.integrity_check).filter((text) => text !== "ok");
  if (problems.length === 0) return writability(path);
  return fail(
    "store",
    `${path} is damaged: ${problems.join("; ")}`,
    `Close all chats, delete ${path}, ${path}-wal and ${path}-shm, then copy the newest file of ${runtime.paths.backups} to ${path}.`,
  );
}

/** Asks for permission only: a write would wait for one that is under way. */
function writability(path: string): Check {
  try {
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) accessSync(file, constants.W_OK);
    return fine("store", `${path} is sound`);
  } catch (error) {
    const fix = "Give the files back to your user (chown, chmod u+w); until then nothing can be saved.";
    return fail("store", `${path} is sound, but cannot be written to (${messageOf(error)})`, fix);
  }
}

function schema(runtime: Runtime): Check {
  const { version } = schemaState(runtime.store.connection());
  const known = runtime.store.site.migrations.length;
  if (version < known) {
    runtime.store.write(() => undefined);
    return fine("schema", `version ${known}, brought there from ${version} just now`);
  }
  if (version > known)
    return warn(
      "schema",
      `version ${version}, made by a newer shim (this one knows ${known})`,
      "It works; update this copy when you can.",
    );
  return fine("schema", `version ${version}`);
}

/** [ST2] says what they should be; Windows has its own. */
function permissions(runtime: Runtime): Check {
  if (process.platform === "win32") return fine("permissions", "those of your user folder");
  const { home } = runtime.paths;
  const files = readdirSync(home).map((name) => join(home, name));
  const open = [home, ...files].filter(
    (path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0,
  );
  if (open.length === 0) return fine("permissions", `only you can read ${home}`);
  return fail("permissions", `others can read ${open.join(", ")}`, `chmod -R go= ${home}`);
}

function backups(runtime: Runtime): Check {
  const [newest] = listBackups(runtime.paths.backups);
  if (!newest)
    return warn(
      "backups",
      "there is no backup yet",
      "A running chat makes the first one minutes after its first checkpoint, then one each day.",
    );
  const ago = runtime.now() - newest.at;
  const text = `newest ${basename(newest.path)}, ${age(ago)} ago`;
  return ago > backupAgeMs
    ? warn("backups", text, "A running chat makes one each day; if one runs, look into shim.log.")
    : fine("backups", text);
}

function content(runtime: Runtime): Check[] {
  return runtime.store.read((sql) => {
    const now = runtime.now();
    const open = notices.list(sql);
    const dead = findIncomplete(sql, runtime.processes, now, { limit: 100 });
    const paused = pauses.list(sql, now);
    const [failures] = sql.all<{ n: number; reason: string | null }>(
      "SELECT count(*) AS n, max(reason) AS reason FROM snapshots WHERE state = 'failed' AND at >= ?",
      now - failuresSinceMs,
    );
    return [
      ...open.map((one) => warn("notice", one.text, "When you have read it: `shim doctor --acknowledge`.")),
      ...paused.map((one) =>
        warn("paused", `nothing is stored for ${one.project ?? "every project"}`, "`shim pause --off` ends it."),
      ),
      ...(isPurgePending(sql)
        ? [fail("forget", "traces of what was forgotten are left", "Repeat `shim forget` with the same argument.")]
        : []),
      dead.length > 0
        ? warn(
            "incomplete",
            `${many(dead.length, "session")} died unfinished`,
            "`shim sessions --incomplete`, then `shim resume`.",
          )
        : fine("incomplete", "no session died unfinished"),
      failures && failures.n > 0
        ? warn(
            "snapshots",
            `files of ${many(failures.n, "checkpoint")} were not saved this week: ${failures.reason ?? "no reason known"}`,
            "`shim sessions show <id>` names each.",
          )
        : fine("snapshots", "no failure this week"),
    ];
  }, []);
}

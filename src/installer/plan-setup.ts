import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { homeFrom } from "../platform/paths.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { backupsFolder, list as listBackups } from "./backups.ts";
import { readText, type ClientRefusal } from "./client-files.ts";
import { claudeVersion, type Installation } from "./client-states.ts";
import { linkRecord, planLink, planLinkRemoval, type LinkPlan } from "./command-link.ts";
import { serverCommand } from "./entries.ts";
import type { Plan, PlanContext } from "./file-edits.ts";
import { codeCache } from "./leftovers.ts";
import { planInstall, planUninstall } from "./plan.ts";
import { hasCopy, lastingLaunch, planCopy, programFolder } from "./program-copy.ts";
import { detect, isSetUpUnasked, type ClientTarget } from "./targets.ts";
import { environmentTelemetry, managedTelemetry, type TelemetryRequest } from "./telemetry-settings.ts";

export interface SetupRequest {
  readonly action: Plan["action"];
  /** Only this client; undefined: all. */
  readonly client: string | undefined;
  readonly makesLink: boolean;
  readonly allowsTools: boolean;
  readonly wantsTodoTools: boolean;
  /** True: on the usual port; undefined: as it is. */
  readonly telemetry: boolean | number | undefined;
  readonly deletesData: boolean;
}

/** Why SHIM is not connected to a client, or not removed from it. */
export interface ClientProblem {
  readonly client: ClientTarget["client"];
  readonly label: string;
  readonly message: string;
}

/** SHIM's own folder that is made or removed. */
interface OwnFolder {
  readonly path: string;
  readonly what: string;
}

/** All that connecting or removing SHIM would change. */
export interface SetupPlan {
  readonly plans: readonly Plan[];
  readonly problems: readonly ClientProblem[];
  readonly link: LinkPlan | null;
  /** Another program that has the name of the link; null: none. */
  readonly otherShim: string | null;
  readonly own: readonly OwnFolder[];
}

export interface SetupRefusal {
  readonly code: ClientRefusal["code"] | "not_built" | "not_found";
  readonly message: string;
}

export function planSetup(installation: Installation, request: SetupRequest): Result<SetupPlan, SetupRefusal> {
  const { machine, launch } = installation.site;
  const isRemoval = request.action === "uninstall";
  const missing = [launch.script, launch.hookScript].find((path) => !machine.exists(path));
  if (!isRemoval && missing !== undefined)
    return err({ code: "not_built", message: `${missing} is missing. In a clone run: npm ci && npm run build` });
  const targets = detect(machine).filter(({ client }) =>
    request.client === undefined ? isRemoval || isSetUpUnasked(client) : client === request.client,
  );
  const planned = planClients(installation, targets, request);
  if (!planned.ok) return planned;
  if (planned.value.problems.length > 0) return ok({ ...planned.value, link: null, otherShim: null, own: [] });
  const link = planLinkChange(installation, request);
  const own = ownFolders(installation, request);
  const isOwnLeft = isRemoval && (link.link !== null || own.length > 0);
  if (targets.length === 0 && !isOwnLeft)
    return err({ code: "not_found", message: noClient(installation, request.client) });
  return ok({ ...planned.value, ...link, own });
}

export function hasChanges({ plans, link, own }: SetupPlan): boolean {
  return link !== null || own.length > 0 || plans.some((plan) => plan.edits.length > 0);
}

/** [IN101] A client that refuses keeps an install from all, and a removal from itself alone. */
function planClients(
  installation: Installation,
  targets: readonly ClientTarget[],
  { action, allowsTools, wantsTodoTools, telemetry }: SetupRequest,
): Result<Pick<SetupPlan, "plans" | "problems">, ClientRefusal> {
  const { site, paths } = installation;
  const context: PlanContext = {
    shimConfig: paths.config,
    read: readText,
    launch: lastingLaunch(site.launch, paths.home),
    backups: listBackups(backupsFolder(paths.home)),
    claudeVersion: claudeVersion(installation),
    wantsTodoTools,
    allowsTools,
    telemetry: telemetryRequest(installation, telemetry),
  };
  const plans: Plan[] = [];
  const problems: ClientProblem[] = [];
  for (const target of targets) {
    const plan = action === "install" ? planInstall(target, context) : planUninstall(target, context);
    if (!plan.ok && (action === "install" || targets.length === 1)) return plan;
    if (!plan.ok) problems.push(toProblem(target, plan.error));
    else if (action === "uninstall") plans.push(plan.value);
    else plans.push({ ...plan.value, notes: [...plan.value.notes, ...homeNotes(installation)] });
  }
  return ok({ plans, problems });
}

export function toProblem({ client, label }: ClientTarget, { message }: ClientRefusal): ClientProblem {
  return { client, label, message };
}

function telemetryRequest(
  { site: { machine } }: Installation,
  telemetry: SetupRequest["telemetry"],
): TelemetryRequest | undefined {
  if (telemetry === undefined) return undefined;
  return {
    isWanted: telemetry !== false,
    port: typeof telemetry === "number" ? telemetry : null,
    newToken: () => randomBytes(32).toString("base64url"),
    elsewhere: [...environmentTelemetry(machine.env), ...managedTelemetry(machine, readText)],
  };
}

/** The terminal's SHIM_HOME is not written into the clients' files. */
function homeNotes({ site: { env }, paths: { home } }: Installation): string[] {
  const usual = homeFrom({});
  if (!env["SHIM_HOME"] || home === usual) return [];
  return [
    `SHIM_HOME is set here (${home}), but the clients do not get it from this command: they save in ${usual}, and read their settings there, unless their own environment sets SHIM_HOME.`,
  ];
}

/** Leaves the link alone for a single client: the others may still need the command. */
function planLinkChange(
  { site: { machine, launch }, paths: { home } }: Installation,
  { action, client, makesLink }: SetupRequest,
): Pick<SetupPlan, "link" | "otherShim"> {
  const context = { machine, launch: lastingLaunch(launch, home), record: linkRecord(home) };
  if (action === "uninstall") return { link: client === undefined ? planLinkRemoval(context) : null, otherShim: null };
  const planned = makesLink ? planLink(context) : ok(null);
  return planned.ok ? { link: planned.value, otherShim: null } : { link: null, otherShim: planned.error };
}

/** [IP10] [IP11] [IP12] */
function ownFolders(
  { site: { machine, launch }, paths: { home } }: Installation,
  { action, client, deletesData }: SetupRequest,
): OwnFolder[] {
  if (action === "install") {
    const copy = planCopy(launch, home);
    return copy === null ? [] : [{ path: copy.to, what: "gets a copy of SHIM: npx does not keep its own" }];
  }
  if (client !== undefined) return [];
  const cache = codeCache(machine);
  const compiled = existsSync(cache) ? [{ path: cache, what: "removes the compiled code" }] : [];
  if (deletesData && existsSync(home))
    return [{ path: home, what: "deletes everything that SHIM has stored" }, ...compiled];
  return hasCopy(home) ? [{ path: programFolder(home), what: "removes the copy of SHIM" }, ...compiled] : compiled;
}

function noClient({ site }: Installation, wanted: string | undefined): string {
  const what = wanted === undefined ? "no client that SHIM knows was found" : `${wanted} was not found`;
  const { command, args } = serverCommand(site.launch);
  return `${what} on this machine. Any other MCP client can start the server itself: ${JSON.stringify({ mcpServers: { shim: { command, args } } })}`;
}

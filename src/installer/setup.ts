import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { homeFrom } from "../platform/paths.ts";
import { removeDurably } from "../platform/private-files.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { apply, backupsFolder, listBackups } from "./apply.ts";
import { isMissing, readText, type ClientRefusal, type Plan, type PlanContext, type Backup } from "./file-edits.ts";
import { serverCommand } from "./entries.ts";
import { claudeVersion, findingsOf, type Installation } from "./inspect.ts";
import {
  applyLink,
  lastingLaunch,
  makeCopy,
  planCopy,
  planLink,
  planLinkRemoval,
  programFolder,
  type LinkPlan,
} from "./own-program.ts";
import { planInstall, planUninstall } from "./plan.ts";
import { detect, type ClientTarget, type Machine } from "./targets.ts";

/** Connects SHIM to the clients of a machine, or removes it: one plan, one apply, one undo. */

export interface SetupRequest {
  readonly action: Plan["action"];
  /** Only this client; undefined: all. */
  readonly client: string | undefined;
  readonly makesLink: boolean;
  readonly allowsTools: boolean;
  readonly deletesData: boolean;
}

/** Why SHIM is not connected to a client, or not removed from it. */
export interface ClientProblem {
  readonly client: ClientTarget["client"];
  readonly label: string;
  readonly message: string;
}

/** All that connecting or removing SHIM would change. */
export interface SetupPlan {
  readonly plans: readonly Plan[];
  readonly problems: readonly ClientProblem[];
  readonly link: LinkPlan | null;
  /** Another program that has the name of the link; null: none. */
  readonly otherShim: string | null;
  /** SHIM's own folders that are made or removed. */
  readonly own: readonly { readonly path: string; readonly what: string }[];
}

export function planSetup(installation: Installation, request: SetupRequest): Result<SetupPlan> {
  const { machine, launch } = installation.site;
  const isRemoval = request.action === "uninstall";
  const missing = [launch.script, launch.hookScript].find((path) => !machine.exists(path));
  if (!isRemoval && missing !== undefined)
    return fail("not_built", `${missing} is missing. In a clone run: npm ci && npm run build`);
  const targets = detect(machine).filter(({ client }) => request.client === undefined || client === request.client);
  const planned = planClients(installation, targets, request);
  if (!planned.ok) return fail(planned.error.code, planned.error.message);
  if (planned.value.problems.length > 0) return ok({ ...planned.value, link: null, otherShim: null, own: [] });
  const link = planLinkChange(installation, request);
  const own = ownFolders(installation, request);
  const isOwnLeft = isRemoval && (link.link !== null || own.length > 0);
  if (targets.length > 0 || isOwnLeft) return ok({ ...planned.value, ...link, own });
  const what = request.client === undefined ? "no client that SHIM knows was found" : `${request.client} was not found`;
  const { command, args } = serverCommand(launch);
  const server = JSON.stringify({ mcpServers: { shim: { command, args } } });
  const message = `${what} on this machine. Any other MCP client can start the server itself: ${server}`;
  return fail("not_found", message);
}

export function hasChanges({ plans, link, own }: SetupPlan): boolean {
  return link !== null || own.length > 0 || plans.some((plan) => plan.edits.length > 0);
}

/** A client that refuses keeps an install from all, and a removal from itself alone. */
function planClients(
  installation: Installation,
  targets: readonly ClientTarget[],
  { action, allowsTools }: SetupRequest,
): Result<Pick<SetupPlan, "plans" | "problems">, ClientRefusal> {
  const { site, paths } = installation;
  const context: PlanContext = {
    read: readText,
    launch: lastingLaunch(site.launch, paths.home),
    backups: listBackups(backupsFolder(paths.home)),
    claudeVersion: claudeVersion(installation),
    allowsTools,
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

function toProblem({ client, label }: ClientTarget, { message }: ClientRefusal): ClientProblem {
  return { client, label, message };
}

/** The terminal's SHIM_HOME is not written into the clients' files. */
function homeNotes({ site: { env }, paths: { home } }: Installation): string[] {
  const usual = homeFrom({ ...env, SHIM_HOME: undefined });
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
  if (action === "uninstall") return { link: client === undefined ? planLinkRemoval(home) : null, otherShim: null };
  const planned = makesLink ? planLink(machine, lastingLaunch(launch, home), home) : ok(null);
  return planned.ok ? { link: planned.value, otherShim: null } : { link: null, otherShim: planned.error };
}

function ownFolders(
  { site: { machine, launch }, paths: { home } }: Installation,
  { action, client, deletesData }: SetupRequest,
): SetupPlan["own"] {
  if (action === "install") {
    const copy = planCopy(launch, home);
    return copy === null ? [] : [{ path: copy.to, what: "gets a copy of SHIM: npx does not keep its own" }];
  }
  if (client !== undefined) return [];
  const stored = deletesData
    ? { path: home, what: "deletes everything that SHIM has stored" }
    : { path: programFolder(home), what: "removes the copy of SHIM" };
  const what = "deletes the worktrees of forks and workers, with what is not committed in them";
  const worktrees = deletesData ? [{ path: join(home, "work"), what }] : [];
  const cache = { path: codeCache(machine), what: "removes the compiled code" };
  return [stored, ...worktrees, cache].filter(({ path }) => existsSync(path));
}

/** V8's compiled code of SHIM's programs, where scripts/build.mjs puts it. */
function codeCache({ env, homedir }: Machine): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir, ".cache"), "shim");
}

export interface AppliedPlan {
  readonly plan: Plan;
  /** Folder with the files as they were; null: there is none, or none is needed any more. */
  readonly backup: string | null;
}

export interface SetupOutcome {
  readonly done: readonly AppliedPlan[];
  readonly problems: readonly ClientProblem[];
  /** `problem`: why it was not made or removed. Null: it was to stay as it is. */
  readonly link: { readonly plan: LinkPlan; readonly problem: string | null } | null;
}

/** While a client still has SHIM, the command and what is stored stay. */
export function applySetup(installation: Installation, setup: SetupPlan, request: SetupRequest): SetupOutcome {
  const { site, paths } = installation;
  const isRemoval = request.action === "uninstall";
  const copy = isRemoval ? null : planCopy(site.launch, paths.home);
  if (copy !== null) makeCopy(copy);
  const done: AppliedPlan[] = [];
  const failures: ClientProblem[] = [];
  for (const plan of setup.plans) {
    const applied = applyOne(installation, plan);
    if (applied.ok) done.push({ plan, backup: applied.value });
    else failures.push(toProblem(plan.target, applied.error));
  }
  const connected = isRemoval ? [] : done.map(({ plan }) => plan);
  const problems = [...setup.problems, ...failures, ...connectionProblems(installation, connected)];
  const isPartial = isRemoval && problems.length > 0;
  const link = isPartial ? null : setup.link && { plan: setup.link, problem: applyLink(setup.link, paths.home) };
  if (isRemoval && !isPartial && request.client === undefined) removeOwn(installation, request.deletesData);
  // A removal that gave all files their first texts deletes the copies.
  const kept = done.map(({ plan, backup }) => ({
    plan,
    backup: backup !== null && existsSync(backup) ? backup : null,
  }));
  return { done: kept, problems, link };
}

export function changedClients(done: readonly AppliedPlan[]): Plan["target"][] {
  return done.filter(({ plan }) => plan.edits.length > 0).map(({ plan }) => plan.target);
}

/** A client may be set up, and not connected. */
export function connectionProblems(installation: Installation, plans: readonly Plan[]): ClientProblem[] {
  return plans.flatMap(({ target }) =>
    findingsOf(installation, target)
      .filter(({ severity }) => severity === "error")
      .map(({ client, text, fix }) => {
        const { label } = target;
        const problem = text.slice(`${label}: `.length).replace(/\.$/, "");
        return { client, label, message: `${problem}.${fix ? ` ${fix}` : ""}` };
      }),
  );
}

function applyOne({ site, paths }: Installation, plan: Plan): ReturnType<typeof apply> {
  const backups = backupsFolder(paths.home);
  const applied = apply(plan, backups, site.now());
  if (applied.ok || applied.error.path !== backups) return applied;
  const advice = "Make that folder one that your user can write to, or set SHIM_HOME to one.";
  return err({ ...applied.error, message: `${applied.error.message} ${advice}` });
}

/** Removes what `init` and the programs have made; what is stored, if asked. */
function removeOwn({ site: { machine }, paths: { home } }: Installation, deletesData: boolean): void {
  const backups = backupsFolder(home);
  const keepsBackups = !isOriginalAgain(listBackups(backups));
  removeDurably(programFolder(home));
  const others = [...(deletesData ? [home] : []), ...(keepsBackups ? [] : [backups]), codeCache(machine)];
  for (const folder of others) rmSync(folder, { recursive: true, force: true });
  for (const folder of [home, codeCache(machine)]) removeEmpty(folder, machine.homedir);
}

/** True: each file that SHIM has changed is again as an install has found it. */
function isOriginalAgain(backups: readonly Backup[]): boolean {
  const found = backups.flatMap((backup) => (backup.action === "install" ? backup.files : []));
  return backups
    .flatMap((backup) => backup.files)
    .every(({ path }) => {
      const text = readText(path);
      return text.ok && found.some((file) => file.path === path && file.before === text.value);
    });
}

/** False: the folder holds the user's own files, too. */
export function isShimsAlone(home: string, userHome: string): boolean {
  return dirname(home) !== home && !`${userHome}${sep}`.startsWith(`${home}${sep}`);
}

/** Goes up to the user's folder, which stays. */
function removeEmpty(folder: string, userHome: string): void {
  if (!folder.startsWith(`${userHome}${sep}`)) return;
  try {
    if (readdirSync(folder).length > 0) return;
    rmdirSync(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  removeEmpty(dirname(folder), userHome);
}

import { existsSync } from "node:fs";
import { err, ok, type Result } from "../shared/result.ts";
import { apply } from "./apply.ts";
import { backupsFolder, list as listBackups } from "./backups.ts";
import { readText, type ClientRefusal } from "./client-files.ts";
import { findingsOf, type Installation } from "./client-states.ts";
import { applyLink, linkRecord, type LinkPlan } from "./command-link.ts";
import type { Plan } from "./file-edits.ts";
import { codeCache, isOriginalAgain, removeHome, removeLeftovers } from "./leftovers.ts";
import { toProblem, type ClientProblem, type SetupPlan, type SetupRequest } from "./plan-setup.ts";
import { makeCopy, planCopy } from "./program-copy.ts";

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

/** [IN101] While a client still has SHIM, the command and what is stored stay. */
export function applySetup(installation: Installation, setup: SetupPlan, request: SetupRequest): SetupOutcome {
  const { site, paths } = installation;
  const isRemoval = request.action === "uninstall";
  const copy = isRemoval ? null : planCopy(site.launch, paths.home);
  if (copy !== null) makeCopy(copy);
  const applied = setup.plans.map((plan) => ({ plan, result: applyOne(installation, plan) }));
  const done = applied.flatMap(({ result }) => (result.ok ? [result.value] : []));
  const failures = applied.flatMap(({ plan, result }) => (result.ok ? [] : [toProblem(plan.target, result.error)]));
  const connected = isRemoval ? [] : done.map(({ plan }) => plan);
  const problems = [...setup.problems, ...failures, ...connectionProblems(installation, connected)];
  const isPartial = isRemoval && problems.length > 0;
  const link = changeLink(installation, isPartial ? null : setup.link);
  if (isRemoval && !isPartial && request.client === undefined) removeOwn(installation, request.deletesData);
  // [IP11] A removal that gave all files their first texts deletes the copies.
  const kept = done.map(({ plan, backup }) => ({
    plan,
    backup: backup !== null && existsSync(backup) ? backup : null,
  }));
  return { done: kept, problems, link };
}

export function changedClients(done: readonly AppliedPlan[]): Plan["target"][] {
  return done.filter(({ plan }) => plan.edits.length > 0).map(({ plan }) => plan.target);
}

/** [IN24] A client may be set up, and not connected. */
export function connectionProblems(installation: Installation, plans: readonly Plan[]): ClientProblem[] {
  return plans.flatMap(({ target }) =>
    findingsOf(installation, target)
      .filter(({ severity }) => severity === "error")
      .map(({ client, text, fix }) => {
        const { label } = target;
        return { client, label, message: `${text.slice(`${label}: `.length)}. ${fix ?? ""}` };
      }),
  );
}

function applyOne({ site, paths }: Installation, plan: Plan): Result<AppliedPlan, ClientRefusal> {
  const backups = backupsFolder(paths.home);
  const applied = apply(plan, { now: site.now(), backups });
  if (applied.ok) return ok({ plan, backup: applied.value.backup });
  const { path, message } = applied.error;
  const advice = "Make that folder one that your user can write to, or set SHIM_HOME to one.";
  return err(path === backups ? { ...applied.error, message: `${message} ${advice}` } : applied.error);
}

function changeLink({ paths: { home } }: Installation, plan: LinkPlan | null): SetupOutcome["link"] {
  return plan && { plan, problem: applyLink(plan, linkRecord(home)) };
}

function removeOwn({ site: { machine }, paths: { home } }: Installation, deletesData: boolean): void {
  const clientBackups = backupsFolder(home);
  const keepsBackups = !isOriginalAgain(listBackups(clientBackups), readText);
  if (deletesData) removeHome(home, machine.homedir);
  removeLeftovers({ home, userHome: machine.homedir, codeCache: codeCache(machine), clientBackups }, keepsBackups);
}

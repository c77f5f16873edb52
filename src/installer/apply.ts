import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { syncFolder, writeAtomically } from "../platform/private-files.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { create } from "./backups.ts";
import { linkTarget, readText, refusal, removeEmptied, type ClientRefusal } from "./client-files.ts";
import type { FileEdit, Plan } from "./file-edits.ts";

export interface ApplyResult {
  /** Folder with the original files; null when there was nothing to change. */
  readonly backup: string | null;
  readonly changed: readonly string[];
}

export interface ApplyContext {
  /** Epoch milliseconds; names the backup. */
  readonly now: number;
  readonly backups: string;
}

/** [IN8] [IN9] Carries out all edits of a plan or none; refuses a file changed since the plan. */
export function apply(plan: Plan, { now, backups }: ApplyContext): Result<ApplyResult, ClientRefusal> {
  if (plan.edits.length === 0) return ok({ backup: null, changed: [] });
  for (const edit of plan.edits) {
    const problem = findChangeSince(edit) ?? findDanglingLink(edit);
    if (problem) return err(problem);
  }
  let backup: string;
  try {
    backup = create(backups, plan, now);
  } catch (error) {
    return err(refusal("write_failed", backups, `cannot create the backup: ${messageOf(error)}. Nothing was changed.`));
  }
  const applied: FileEdit[] = [];
  for (const edit of plan.edits) {
    const failure = applyEdit(edit);
    if (failure) return err(rollBack(applied, failure, backup));
    applied.push(edit);
  }
  return ok({ backup, changed: plan.edits.map(({ path }) => path) });
}

function findChangeSince({ path, before }: FileEdit): ClientRefusal | null {
  const text = readText(path);
  if (!text.ok) return text.error;
  if (text.value === before) return null;
  return refusal("config_changed", path, "was changed by another program meanwhile. Try again; nothing was changed.");
}

function findDanglingLink({ path }: FileEdit): ClientRefusal | null {
  const target = linkTarget(path);
  if (target === null || findRealPath(path) !== null) return null;
  return refusal(
    "config_unreadable",
    path,
    `is a link to ${target}, which does not exist. Create or remove it and try again.`,
  );
}

function applyEdit(edit: FileEdit): ClientRefusal | null {
  const { path, before, after } = edit;
  let changed: ClientRefusal | null = null;
  try {
    const file = before === null ? path : realpathSync(path);
    if (after === null) {
      rmSync(file);
      syncFolder(dirname(file));
      removeEmptied(edit.folders ?? []);
      return null;
    }
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const check = (): void => {
      changed = findChangeSince(edit);
      if (changed) throw new Error(changed.message);
    };
    writeAtomically(file, after, { mode: 0o600, check });
    return null;
  } catch (error) {
    return changed ?? refusal("write_failed", path, `cannot be written: ${messageOf(error)}. Nothing was changed.`);
  }
}

/** Deletes the backup after a complete rollback: it would mislead a later uninstall. */
function rollBack(applied: readonly FileEdit[], failure: ClientRefusal, backup: string): ClientRefusal {
  const rollbackProblems = applied
    .toReversed()
    .map(({ path, before, after, summary }) => applyEdit({ path, before: after, after: before, summary }))
    .filter((problem) => problem !== null);
  if (rollbackProblems.length > 0) {
    const reasons = rollbackProblems.map(({ message }) => message).join(" ");
    return {
      ...failure,
      message: `${failure.message} Rolling back the rest failed too: ${reasons} The backup is ${backup}.`,
    };
  }
  rmSync(backup, { recursive: true, force: true });
  return failure;
}

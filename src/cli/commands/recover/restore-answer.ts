import type { RestoreResult } from "../../../snapshots/restore-files.ts";
import { ok } from "../../../shared/result.ts";
import type { CommonOptions, CommandResult } from "../../cli.ts";
import { pluralize } from "../../screen-text.ts";

/** What `shim restore` answers, whichever machine the files are from. */

export interface RestoreOptions extends CommonOptions {
  readonly files?: boolean;
  readonly into?: string;
  readonly branch?: string;
}

/** A folder, or a new branch. */
export type RestoreTarget = string | { readonly project: string; readonly branch: string };

export interface ExcludedFile {
  readonly path: string;
  readonly reason: string;
}

/** A large project on a slow disk takes its time; a restore that hangs must end. */
export const timeoutMs = 600_000;

interface RestoredSnapshot {
  readonly into: RestoreTarget;
  readonly result: RestoreResult;
  readonly leftOut: readonly ExcludedFile[];
  readonly checkpoint: string;
  /** Where the files are from, as a line of its own; absent: from this machine. */
  readonly from?: string;
  readonly data?: Readonly<Record<string, string>>;
}

export function toRestoreAnswer(snapshot: RestoredSnapshot): CommandResult {
  const { into, result, leftOut, checkpoint, data = {} } = snapshot;
  const all = { checkpoint, ...data, into: typeof into === "string" ? into : null, ...result, leftOut };
  return ok({ data: all, text: render(snapshot) });
}

function render({ into, result, leftOut, from = "" }: RestoredSnapshot): string {
  const destination = typeof into === "string" ? into : `the branch ${into.branch} of ${into.project}`;
  const base =
    result.branch && result.branch.parent === null
      ? ["The commit it was based on is gone, so the branch has no history."]
      : [];
  return [
    `${from}Restored ${pluralize(result.written.length, "file")} into ${destination}.`,
    ...base,
    ...formatFiles("Not restored", result.notRestored),
    ...formatFiles("Never saved", leftOut),
    "",
  ].join("\n");
}

function formatFiles(title: string, files: readonly ExcludedFile[]): string[] {
  return files.length === 0 ? [] : [`${title}:`, ...files.map(({ path, reason }) => `  ${path}: ${reason}`)];
}

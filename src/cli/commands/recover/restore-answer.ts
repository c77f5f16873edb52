import type { RestoreResult } from "../../../snapshots/restore-files.ts";
import { ok } from "../../../shared/result.ts";
import type { CommonOptions, CommandResult } from "../../cli.ts";
import { pluralize } from "../../screen-text.ts";

export interface RestoreOptions extends CommonOptions {
  readonly files?: boolean;
  readonly into?: string;
  readonly branch?: string;
}

export type RestoreTarget = string | { readonly project: string; readonly branch: string };

export interface ExcludedFile {
  readonly path: string;
  readonly reason: string;
}

export const timeoutMs = 600_000;

interface RestoredSnapshot {
  readonly into: RestoreTarget;
  readonly result: RestoreResult;
  readonly leftOut: readonly ExcludedFile[];
  readonly checkpoint: string;
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

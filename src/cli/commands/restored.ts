import type { Restored } from "../../local-mcp/snapshots/restore-files.ts";
import { ok } from "../../shared/result.ts";
import type { Common, Outcome } from "../cli.ts";
import { many } from "../screen-text.ts";

/** What `shim restore` answers, whichever machine the files are from. */

export interface RestoreOptions extends Common {
  readonly files?: boolean;
  readonly into?: string;
  readonly branch?: string;
}

/** A folder, or a new branch. */
export type Target = string | { readonly project: string; readonly branch: string };

export interface LeftOut {
  readonly path: string;
  readonly reason: string;
}

/** A large project on a slow disk takes its time; a restore that hangs must end. */
export const timeoutMs = 600_000;

interface WhatCame {
  readonly into: Target;
  readonly done: Restored;
  readonly leftOut: readonly LeftOut[];
  readonly checkpoint: string;
  /** Where the files are from, as a line of its own; absent: from this machine. */
  readonly from?: string;
  readonly data?: Readonly<Record<string, string>>;
}

export function restored(what: WhatCame): Outcome {
  const { into, done, leftOut, checkpoint, data = {} } = what;
  const all = { checkpoint, ...data, into: typeof into === "string" ? into : null, ...done, leftOut };
  return ok({ data: all, text: render(what) });
}

function render({ into, done, leftOut, from = "" }: WhatCame): string {
  const where = typeof into === "string" ? into : `the branch ${into.branch} of ${into.project}`;
  const base =
    done.branch && done.branch.parent === null
      ? ["The commit it was based on is gone, so the branch has no history."]
      : [];
  return [
    `${from}Restored ${many(done.written.length, "file")} into ${where}.`,
    ...base,
    ...named("Not restored", done.notRestored),
    ...named("Never saved", leftOut),
    "",
  ].join("\n");
}

function named(title: string, files: readonly LeftOut[]): string[] {
  return files.length === 0 ? [] : [`${title}:`, ...files.map(({ path, reason }) => `  ${path}: ${reason}`)];
}

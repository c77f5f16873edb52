import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { AuditEntry } from "../../contract/workspaces.ts";
import { fileLog } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** A decision about a session or an experiment; the coordinator's log has those about the team. */
export interface MachineAction {
  readonly kind:
    | "session.dismissed"
    | "session.offered-again"
    | "session.forgotten"
    | "project.forgotten"
    | "experiment.started"
    | "experiment.stopped"
    | "experiment.reverted"
    | "experiment.moved"
    | "experiments.off"
    | "experiments.allowed";
  /** Id of the session; its first eight characters are kept, also once it is forgotten. */
  readonly session: string | null;
  readonly experiment?: string;
  readonly by: "live page" | "command line" | "kaizen";
  /** Code of an error, or `done`; of an experiment that moved, its new state. */
  readonly result: string;
  readonly rows?: number;
}

/** [WP20] Appends to a file of two parts, of which the older is dropped. */
export function record({ paths, now }: Pick<Runtime, "paths" | "now">, action: MachineAction): void {
  const { kind, session, experiment, by, result, rows } = action;
  fileLog(paths.audit, now)("info", kind, { subject: experiment ?? session?.slice(0, 8) ?? "", by, result, rows });
}

const maxReadBytes = 262_144;

/** Newest first, from the last 256 KiB. */
export function listNewest({ paths, now }: Pick<Runtime, "paths" | "now">, limit: number): AuditEntry[] {
  const lines = [`${paths.audit}.1`, paths.audit].flatMap((path) => readTail(path).split("\n"));
  const entries = lines.flatMap((line, seq) => toEntry(line, seq, now()));
  return entries.slice(-limit).toReversed();
}

/** A first line that was cut is no JSON. */
function toEntry(line: string, seq: number, now: number): AuditEntry[] {
  try {
    const { time, msg: kind, subject, by: actor, result, rows = null } = JSON.parse(line) as StoredLine;
    const detail = { result, ...(rows === null ? {} : { rows }) };
    return [{ seq, ageMs: Math.max(0, now - time), kind, subject, actor, detail }];
  } catch {
    return [];
  }
}

interface StoredLine {
  readonly time: number;
  readonly msg: string;
  readonly subject: string;
  readonly by: string;
  readonly result: string;
  readonly rows?: number;
}

function readTail(path: string): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, maxReadBytes));
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
  } finally {
    closeSync(file);
  }
}

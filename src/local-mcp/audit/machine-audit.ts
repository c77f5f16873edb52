import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { AuditEntry } from "../../contract/workspaces.ts";
import { fileLog } from "../../platform/log-file.ts";
import { syncFile } from "../../platform/private-files.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import { parseObject } from "../../shared/json-fields.ts";

/** A decision about a session or an experiment; the coordinator's log has those about the team. */
export interface MachineAction {
  readonly kind:
    | "session.dismissed"
    | "session.offered-again"
    | "session.forgotten"
    | "project.forgotten"
    | "checkpoint.forgotten"
    | "experiment.started"
    | "experiment.stopped"
    | "experiment.reverted"
    | "experiment.moved"
    | "experiments.off"
    | "experiments.allowed";
  /** Id of the session; its first eight characters are kept, also once it is forgotten. */
  readonly session: string | null;
  readonly experiment?: string;
  readonly by: "live page" | "command line" | "chat" | "kaizen";
  /** Code of an error, or `done`; of an experiment that moved, its new state. */
  readonly result: string;
  readonly rows?: number;
}

/** [WP20] Appends to a file of two parts, of which the older is dropped. */
export function record({ paths, now }: Pick<Runtime, "paths" | "now">, action: MachineAction): void {
  append(paths, now(), action);
}

function append(paths: Runtime["paths"], at: number, action: MachineAction, id?: string): void {
  const { kind, session, experiment, by, result, rows } = action;
  const subject = experiment ?? session?.slice(0, 8) ?? "";
  fileLog(paths.audit, () => at)("info", kind, { subject, by, result, rows, id });
}

interface Pending {
  readonly id: string;
  /** Epoch ms of the decision. */
  readonly at: number;
  readonly action: MachineAction;
}

/** Stored as JSON. */
interface Outbox {
  readonly next: number;
  /** Oldest first. */
  readonly pending: readonly Pending[];
}

const outboxKey = "audit_outbox";
/** More wait only where the file cannot be written; the oldest go then. */
const maxPending = 500;

function readOutbox(sql: Sql): Outbox {
  const text = meta.read(sql, outboxKey);
  return text === null ? { next: 1, pending: [] } : (JSON.parse(text) as Outbox);
}

function writeOutbox(sql: Sql, { next, pending }: Outbox): void {
  meta.write(sql, outboxKey, JSON.stringify({ next, pending: pending.slice(-maxPending) }));
}

/** [EX77] Part of the caller's transaction; `flush` writes it to the file, in any process. */
export function enqueue(sql: Sql, at: number, action: MachineAction): void {
  const { next, pending } = readOutbox(sql);
  writeOutbox(sql, { next: next + 1, pending: [...pending, { id: `${at}-${next}`, at, action }] });
}

/** [EX77] Writes what is pending to the file, once. What cannot be written stays pending. */
export function flush({ paths, store, log }: Pick<Runtime, "paths" | "store" | "log">): void {
  try {
    if (store.read((sql) => readOutbox(sql).pending.length === 0, true)) return;
    store.write((sql) => {
      const { next, pending } = readOutbox(sql);
      // A process may have died between the file and its commit.
      const before = writtenIds(paths);
      for (const one of pending) if (!before.has(one.id)) append(paths, one.at, one.action, one.id);
      syncFile(paths.audit);
      const written = writtenIds(paths);
      writeOutbox(sql, { next, pending: pending.filter(({ id }) => !written.has(id)) });
    });
  } catch (error) {
    log("warn", "entries of the audit log are pending", { reason: messageOf(error) });
  }
}

function writtenIds(paths: Runtime["paths"]): ReadonlySet<string> {
  return new Set(readLines(paths).flatMap((line) => parseLine(line)?.id ?? []));
}

const maxReadBytes = 262_144;

/** Newest first, from the last 256 KiB. */
export function listNewest(runtime: Pick<Runtime, "paths" | "store" | "log" | "now">, limit: number): AuditEntry[] {
  flush(runtime);
  const entries = readLines(runtime.paths).flatMap((line, seq) => toEntry(line, seq, runtime.now()));
  return entries.slice(-limit).toReversed();
}

function readLines(paths: Runtime["paths"]): string[] {
  return [`${paths.audit}.1`, paths.audit].flatMap((path) => readTail(path).split("\n"));
}

function toEntry(line: string, seq: number, now: number): AuditEntry[] {
  const parsed = parseLine(line);
  if (parsed === null) return [];
  const { time, msg: kind, subject, by: actor, result, rows = null } = parsed;
  const detail = { result, ...(rows === null ? {} : { rows }) };
  return [{ seq, ageMs: Math.max(0, now - time), kind, subject, actor, detail }];
}

/** A first line that was cut is no JSON. */
function parseLine(line: string): StoredLine | null {
  return parseObject(line) as StoredLine | null;
}

interface StoredLine {
  readonly time: number;
  readonly msg: string;
  readonly subject: string;
  readonly by: string;
  readonly result: string;
  readonly rows?: number;
  readonly id?: string;
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

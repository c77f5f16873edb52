import type { AuditEntry } from "../../contract/workspaces.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { CallerSurface } from "../context/operation-wire.ts";
import { audit } from "../../store/machine-tables.ts";

/** A decision about a session, its files or an experiment; the coordinator's log has the team's. */
export interface MachineAction {
  readonly kind:
    | "session.dismissed"
    | "session.offered-again"
    | "session.forgotten"
    | "session.given"
    | "session.taken"
    | "request.answered"
    | "message.sent"
    | "run.started"
    | "run.stopped"
    | "run.ended"
    | "turn.stopped"
    | "project.forgotten"
    | "checkpoint.forgotten"
    | "files.undone"
    | "files.redone"
    | "experiment.started"
    | "experiment.stopped"
    | "experiment.moved";
  /** Id of the session; its first eight characters are kept, also once it is forgotten. */
  readonly session: string | null;
  readonly experiment?: string;
  readonly by: CallerSurface | "chat" | "kaizen";
  /** Code of an error, `done`, or `begun`: it was killed; of a moved experiment its new state. */
  readonly result: string;
  /** Deleted rows; of an undo the files that it changed. */
  readonly rows?: number | null;
}

/** More are of years. */
const maxEntries = 20_000;

/** Appends an entry in a transaction of its own. */
export function record({ store, now }: Pick<Runtime, "store" | "now">, action: MachineAction): void {
  store.write((sql) => append(sql, now(), action));
}

/** Appends an entry in the transaction of its decision. @returns its number */
export function append(sql: Sql, at: number, action: MachineAction): number {
  const { kind, session, experiment, by: actor, result, rows } = action;
  const subject = experiment ?? session?.slice(0, 8) ?? "";
  const seq = audit.append(sql, { at, kind, subject, actor, result, rows });
  sql.run("DELETE FROM audit WHERE seq <= ?", seq - maxEntries);
  return seq;
}

/** Completes the entry of an action that was entered when it began. */
export function settle(sql: Sql, seq: number, end: Pick<Required<MachineAction>, "result" | "rows">): void {
  audit.update(sql, { seq }, end);
}

/** Newest first. */
export function listNewest({ store, now }: Pick<Runtime, "store" | "now">, limit: number): AuditEntry[] {
  const newest = store.read((sql) => audit.select(sql, "ORDER BY seq DESC LIMIT ?", limit), []);
  return newest.map(({ seq, at, kind, subject, actor, result, rows }) => ({
    seq,
    ageMs: Math.max(0, now() - at),
    kind,
    subject,
    actor,
    detail: { result, ...(rows === null ? {} : { rows }) },
  }));
}

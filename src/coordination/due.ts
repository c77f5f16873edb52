import * as audit from "./audit.ts";
import * as changes from "./changes.ts";

import * as idempotency from "./idempotency.ts";
import * as leases from "./leases.ts";
import * as liveness from "./liveness.ts";
import * as messages from "./messages.ts";
import * as state from "./state.ts";
import type { Tx } from "./tx.ts";
import * as waiters from "./waiters.ts";

/** What has to happen without anybody asking: the one alarm of a host rings at the earliest of it. */

interface Timed {
  readonly name: string;
  readonly nextDue: (tx: Tx) => number | null;
  /** Moves or ends each row that it takes on, at most about `limit` of them. */
  readonly sweep: (tx: Tx, limit: number) => void;
}

/** Housekeeping need not be on time: it waits for the full hour, so that rows which grow old one by one ring no alarm each. */
const coarseMs = 3_600_000;

function coarse(at: number | null): number | null {
  return at === null ? null : Math.ceil(at / coarseMs) * coarseMs;
}

const timed: readonly Timed[] = [
  {
    name: "delays",
    nextDue: ({ sql }) => waiters.nextDelay(sql),
    sweep: leases.endDelays,
  },
  { name: "state", nextDue: state.nextDue, sweep: state.sweep },
  {
    name: "idempotency",
    nextDue: ({ sql }) => coarse(idempotency.nextDue(sql)),
    sweep: ({ sql, now }, limit) => idempotency.prune(sql, now, limit),
  },
  {
    name: "messages",
    nextDue: ({ sql, settings }) => coarse(messages.nextDue(sql, settings.maxMessages)),
    sweep: messages.prune,
  },
  {
    name: "changes",
    nextDue: ({ sql, settings }) => coarse(changes.nextDue(sql, settings.keepChangesMs)),
    sweep: ({ sql, now, settings }, limit) => changes.prune(sql, now, settings.keepChangesMs, limit),
  },
  {
    name: "audit",
    nextDue: ({ sql }) => coarse(audit.nextDue(sql)),
    sweep: ({ sql, now }, limit) => audit.prune(sql, now, limit),
  },
];

/** When the host has to come back; null: nothing waits for its time. */
export function nextDue(tx: Tx): number | null {
  const times = [liveness.nextDue(tx), ...timed.map((one) => one.nextDue(tx))].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

/** Runs work as a transaction of its own inside the present one: it is undone when it throws. */
export type Atomically = <T>(work: () => T) => T;

/** A row whose work fails is left alone for so long. */
const poisonMs = 60_000;

/**
 * [DU1] Does what is due, each chat and each kind in a transaction of its own: one whose work throws is put off and told in the audit log, and
 * never keeps the others from their turn. [DU2] Bounded: what is left is due at once again.
 *
 * @returns what went wrong, for the host's log
 */
export function sweep(tx: Tx, atomically: Atomically, limit: number): string[] {
  const problems: string[] = [];
  for (const chat of liveness.dueNow(tx, limit)) {
    try {
      atomically(() => liveness.settle(tx, chat));
    } catch (error) {
      problems.push(`chat ${chat}: ${String(error)}`);
      tx.sql.run("UPDATE chats SET due_at = ? WHERE chat = ?", tx.now + poisonMs, chat);
      audit.append(tx, { kind: "sweep.failed", subject: chat, detail: { error: String(error).slice(0, 300) } });
    }
  }
  for (const one of timed) {
    try {
      const at = one.nextDue(tx);
      if (at !== null && at <= tx.now) atomically(() => one.sweep(tx, limit));
    } catch (error) {
      problems.push(`${one.name}: ${String(error)}`);
    }
  }
  return problems;
}

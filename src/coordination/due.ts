import { messageOf } from "../shared/error.ts";
import * as audit from "./audit.ts";
import * as changes from "./changes.ts";
import * as chatRows from "./chat-rows.ts";
import * as idempotency from "./idempotency.ts";
import * as leases from "./leases.ts";
import * as liveness from "./liveness.ts";
import * as messages from "./messages.ts";
import * as meta from "./meta.ts";
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
  const times = [liveness.nextDue(tx), ...turns(tx).map(({ at }) => at)].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

/** When each kind is due, unless a failure has put it off. */
function turns(tx: Tx): { one: Timed; at: number | null }[] {
  const until = putOff(tx);
  return timed.map((one) => {
    const at = one.nextDue(tx);
    return { one, at: at === null ? null : Math.max(at, until[one.name] ?? 0) };
  });
}

/** By the name of the kind. */
function putOff({ sql }: Tx): Partial<Record<string, number>> {
  return JSON.parse(meta.read(sql, "put_off") ?? "{}") as Partial<Record<string, number>>;
}

/** Runs work as a transaction of its own inside the present one: it is undone when it throws. */
export type Atomically = <T>(work: () => T) => T;

/** What fails is left alone for so long. */
const poisonMs = 60_000;

/**
 * [DU1] Does what is due, each chat and each kind in a transaction of its own: one whose work throws is put off and told in the audit log, and
 * never keeps the others from their turn. [DU2] Bounded: what is left is due at once again.
 *
 * @returns what went wrong, for the host's log
 */
export function sweep(tx: Tx, atomically: Atomically, limit: number): string[] {
  const problems: string[] = [];
  const fail = (subject: string, error: unknown): void => {
    problems.push(`${subject}: ${messageOf(error)}`);
    audit.append(tx, { kind: "sweep.failed", subject, detail: { error: messageOf(error).slice(0, 300) } });
  };
  for (const chat of liveness.dueNow(tx, limit)) {
    try {
      atomically(() => liveness.settle(tx, chat));
    } catch (error) {
      chatRows.write(tx, "UPDATE chats SET due_at = ? WHERE chat = ?", tx.now + poisonMs, chat);
      fail(chat, error);
    }
  }
  for (const { one, at } of turns(tx)) {
    if (at === null || at > tx.now) continue;
    try {
      atomically(() => one.sweep(tx, limit));
    } catch (error) {
      meta.write(tx.sql, "put_off", JSON.stringify({ ...putOff(tx), [one.name]: tx.now + poisonMs }));
      fail(one.name, error);
    }
  }
  return problems;
}

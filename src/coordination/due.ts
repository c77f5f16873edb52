import { messageOf } from "../shared/error.ts";
import * as audit from "./kernel/audit.ts";
import * as boxes from "./workspace/boxes.ts";
import * as budgets from "./tasks/budgets.ts";
import * as changes from "./kernel/changes.ts";
import * as dispatch from "./scheduling/dispatch.ts";
import * as idempotency from "./kernel/idempotency.ts";
import { delayDueAt, endDelays, endQuietPeriod } from "./leases/lease-grants.ts";
import * as liveness from "./chats/liveness.ts";
import * as messages from "./messages/messages.ts";
import * as meta from "./kernel/meta.ts";
import * as rebalanceSweep from "./scheduling/rebalance.ts";
import * as state from "./state/state.ts";
import * as syncRows from "./sync/sync-rows.ts";
import { keysDueAt, pruneKeys } from "./tasks/submit.ts";
import * as retention from "./tasks/task-retention.ts";
import { tasks as taskTable } from "./tasks/task-tables.ts";
import * as tasks from "./tasks/lifecycle.ts";
import type { Tx } from "./kernel/tx.ts";

/** Everything with a due time; a host's one alarm is set to the earliest. */

interface DueKind {
  readonly name: string;
  /** SQL of one value: epoch ms, or NULL. */
  readonly dueAt: string;
  /** Bound by `dueAt`. */
  readonly setting?: "maxMessages" | "keepChangesMs" | "keepSyncMs";
  readonly isCoarse?: boolean;
  readonly sweep: (tx: Tx, limit: number) => void;
}

/** Waits for the full hour, so that rows which age singly share an alarm; not on full storage. */
const coarseMs = 3_600_000;

const dueKinds: readonly DueKind[] = [
  { name: "quiet", dueAt: meta.quietDueAt, sweep: endQuietPeriod },
  { name: "delays", dueAt: delayDueAt, sweep: endDelays },
  { name: "state", dueAt: state.dueAt, sweep: state.sweep },
  { name: "idempotency", dueAt: idempotency.dueAt, isCoarse: true, sweep: idempotency.prune },
  { name: "messages", dueAt: messages.dueAt, setting: "maxMessages", isCoarse: true, sweep: messages.prune },
  {
    name: "changes",
    dueAt: changes.dueAt,
    setting: "keepChangesMs",
    isCoarse: true,
    sweep: (tx, limit) => {
      changes.prune(tx, limit);
      liveness.sweepUnseen(tx);
    },
  },
  { name: "outbox", dueAt: dispatch.dueAt, sweep: (tx) => void dispatch.assignQueued(tx, 1) },
  { name: "unseen", dueAt: liveness.unseenDueAt, isCoarse: true, sweep: liveness.sweepUnseen },
  { name: "boxes", dueAt: boxes.dueAt, sweep: boxes.sweep },
  { name: "moves", dueAt: rebalanceSweep.dueAt, sweep: rebalanceSweep.sweep },
  { name: "budgets", dueAt: budgets.dueAt, sweep: budgets.endDay },
  { name: "prunes", dueAt: retention.dueAt, sweep: retention.sweep },
  { name: "sync", dueAt: syncRows.dueAt, setting: "keepSyncMs", isCoarse: true, sweep: syncRows.sweep },
  { name: "incoming", dueAt: syncRows.incomingDueAt, isCoarse: true, sweep: syncRows.sweepIncoming },
  { name: "dedupe", dueAt: keysDueAt, isCoarse: true, sweep: pruneKeys },
  { name: "audit", dueAt: audit.dueAt, isCoarse: true, sweep: audit.prune },
];

const putOffSource = { name: "putOff", dueAt: "SELECT value FROM meta WHERE key = 'put_off'" };

const sources: readonly Pick<DueKind, "name" | "dueAt" | "setting">[] = [
  { name: "chats", dueAt: liveness.dueAt },
  { name: "tasks", dueAt: tasks.dueAt },
  putOffSource,
  ...dueKinds,
];

/** One statement reads all. */
const dueQuery = `SELECT ${sources.map(({ name, dueAt }) => `(${dueAt}) AS ${name}`).join(", ")}`;

/** After a freeze, so that chats which could not report first do so. */
const thawMs = 60_000;

/** @returns epoch ms; null: nothing waits for its time */
export function nextDue(tx: Tx): number | null {
  if (tx.frozenUntil === meta.untilImported) return null;
  if (tx.frozenUntil > 0 && tx.frozenUntil + thawMs > tx.now) return tx.frozenUntil + thawMs;
  const { chats, tasks, kinds } = readDueTimes(tx);
  const times = [chats, tasks, ...kinds.map(({ at }) => at)].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

export function isDue(tx: Tx): boolean {
  const next = nextDue(tx);
  return next !== null && next <= tx.now;
}

function readDueTimes({ sql, settings, isFull }: Tx) {
  const values = sources.flatMap(({ setting }) => (setting ? [settings[setting]] : []));
  const [row = {}] = sql.all<Record<string, number | string | null>>(dueQuery, ...values);
  const timeOf = (name: string): number | null => (row[name] ?? null) as number | null;
  const postponed = JSON.parse(String(row[putOffSource.name] ?? "{}")) as PostponedKinds;
  const kinds = dueKinds.map((one) => {
    const at = timeOf(one.name);
    if (at === null) return { one, at };
    const isLater = one.isCoarse && !isFull;
    return { one, at: Math.max(isLater ? Math.ceil(at / coarseMs) * coarseMs : at, postponed[one.name] ?? 0) };
  });
  return { chats: timeOf("chats"), tasks: timeOf("tasks"), kinds };
}

type PostponedKinds = Partial<Record<string, number>>;

/** Runs work as a nested transaction, which is rolled back when it throws. */
export type Atomically = <T>(work: () => T) => T;

const failedRetryMs = 60_000;

/**
 * A separate transaction each: one that throws is put off, recorded, and blocks no other.
 * Bounded: the rest is due again at once. Returns failures for the host's log.
 */
export function sweep(tx: Tx, atomically: Atomically, limit: number): string[] {
  const problems: string[] = [];
  const tryWork = (subject: string, work: () => void, postpone: (until: number) => void): void => {
    try {
      atomically(work);
    } catch (error) {
      postpone(tx.now + failedRetryMs);
      problems.push(`${subject}: ${messageOf(error)}`);
      audit.append(tx, { kind: "sweep.failed", subject, detail: { error: messageOf(error).slice(0, 300) } });
    }
  };
  // Listed before the checks of chats, which change the times of chats.
  const dueTasks = tasks.listDue(tx, limit);
  for (const chat of liveness.listDue(tx, limit)) {
    tryWork(
      chat,
      () => liveness.checkChat(tx, chat),
      (until) => void tx.sql.run("UPDATE chats SET dueAt = ? WHERE chat = ?", until, chat),
    );
  }
  for (const task of dueTasks) {
    tryWork(
      `task ${task}`,
      () => tasks.checkTask(tx, task),
      (until) => void taskTable.update(tx.sql, { task }, { dueAt: until }),
    );
  }
  for (const { one, at } of readDueTimes(tx).kinds) {
    if (at === null || at > tx.now) continue;
    tryWork(
      one.name,
      () => one.sweep(tx, limit),
      (until) => {
        const postponed = JSON.parse(meta.read(tx.sql, "put_off") ?? "{}") as PostponedKinds;
        meta.write(tx.sql, "put_off", JSON.stringify({ ...postponed, [one.name]: until }));
      },
    );
  }
  return problems;
}

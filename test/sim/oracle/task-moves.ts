import type { AttemptEnd, DeathReason, TaskState } from "#src/contract/tasks.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { TaskFact } from "../host/recording-sql.ts";
import type { Request } from "../host/sim-host.ts";
import type { KnownTask } from "./task-ledger.ts";

export interface Act {
  readonly now: number;
  readonly settings: Settings;
  readonly request: Request | null;
  /** Reasons of the chats that went offline in it. */
  readonly gone: ReadonlyMap<string, string>;
  readonly get: (task: number) => KnownTask | undefined;
  /** Why a chat must not get a task; null: it may. */
  readonly whyNot: (known: KnownTask, fact: TaskFact) => string | null;
}

/** Why a task must not become what it became; null: it may. */
type Judge = (known: KnownTask, after: TaskFact, act: Act) => string | null;

interface Named {
  readonly task?: number;
  readonly claim?: number;
  readonly isRetryable?: boolean;
  readonly delayMs?: number | undefined;
  readonly self?: { readonly chat: string; readonly incarnation: number };
}

export const endings: Readonly<Record<string, AttemptEnd>> = {
  "tasks.ack": "done",
  "tasks.nack": "failed",
  "tasks.release": "released",
};

/** Why the claim of a task ended: its holder said so, or is gone, or its time is over. Null: no cause is known. */
export function endOf(known: KnownTask, act: Act): AttemptEnd | null {
  return endByRequest(known, act) ?? endByLoss(known, act) ?? endByTime(known, act);
}

function endByRequest(known: KnownTask, { request, now }: Act): AttemptEnd | null {
  if (!request) return null;
  const { task, claim = 0, self } = request.input as Named;
  if (task !== known.task) return null;
  if (!self) return request.name === "tasks.cancel" && known.state === "assigned" ? "cancelled" : null;
  return known.isHeldBy(self.chat, self.incarnation, claim, now) ? (endings[request.name] ?? null) : null;
}

function endByLoss({ held, state }: KnownTask, { gone }: Act): AttemptEnd | null {
  const reason = held && gone.get(held.chat);
  if (!reason) return null;
  if (state === "assigned") return "not_started";
  return reason === "left" ? "chat_left" : "chat_offline";
}

function endByTime(known: KnownTask, { request, now }: Act): AttemptEnd | null {
  const { held, state } = known;
  if (!held || request || known.endsAt() > now) return null;
  if (state === "assigned") return "not_started";
  return held.closeAt <= now ? "timeout" : "stalled";
}

interface Standing {
  readonly state: TaskState;
  readonly reason: DeathReason | null;
  readonly failures: number;
  readonly stalls: number;
  readonly lostChats: number;
  /** The earliest and the latest time at which it may be queued again. */
  readonly from: number;
  readonly to: number;
}

function follows(known: KnownTask, end: AttemptEnd, { request, settings, now }: Act): Standing {
  const { notBefore } = known;
  const isFailure = end === "failed" || end === "timeout";
  const counts = {
    failures: known.failures + Number(isFailure),
    stalls: known.stalls + Number(end === "stalled"),
    lostChats: known.lostChats + Number(end === "chat_offline"),
  };
  const ended = { ...counts, reason: null, from: notBefore, to: notBefore };
  if (end === "done") return { ...ended, state: "done" };
  if (known.isCancelAsked || end === "cancelled") return { ...ended, state: "cancelled" };
  const { isRetryable, delayMs } = end === "failed" && request ? (request.input as Named) : {};
  const reason = isRetryable === false ? "failed" : deathOf(known, counts, settings);
  if (reason) return { ...ended, state: "dead", reason };
  const [from, to] = isFailure ? backoff(known, counts.failures, delayMs) : [0, 0];
  return { ...counts, state: from > 0 ? "scheduled" : "queued", reason: null, from: now + from, to: now + to };
}

type Causes = Pick<Standing, "failures" | "stalls" | "lostChats">;

function deathOf({ input }: KnownTask, causes: Causes, settings: Settings): DeathReason | null {
  if (causes.failures >= input.maxAttempts) return "failed";
  return causes.stalls >= settings.maxStalls || causes.lostChats >= settings.maxLostChats ? "poison" : null;
}

function backoff({ input }: KnownTask, failures: number, givenMs: number | undefined): [number, number] {
  if (givenMs !== undefined) return [givenMs, givenMs];
  const { baseMs, capMs, hasJitter } = input.backoff;
  const most = Math.min(capMs, baseMs * 2 ** (failures - 1));
  return [hasJitter ? Math.ceil(most / 2) : most, most];
}

const returned: Judge = (known, after, act) => {
  const end = endOf(known, act);
  if (!end) return `it was taken from ${known.held?.chat}, and no cause is known`;
  const expected = follows(known, end, act);
  const columns = ["state", "reason", "failures", "stalls", "lostChats"] as const;
  const wrong = columns.find((name) => after[name] !== expected[name]);
  if (wrong) return `after its end (${end}) ${wrong} is ${after[wrong]}, not ${expected[wrong]}`;
  const isTimely = after.notBefore >= expected.from && after.notBefore <= expected.to;
  return isTimely ? null : `after its end (${end}) it waits for ${after.notBefore - act.now} ms`;
};

export function standing({ needs, input }: KnownTask, get: Act["get"]): "free" | "blocked" | "doomed" {
  // A task that is no longer known was pruned, so it had ended.
  const open = needs.flatMap((need) => get(need) ?? []).filter(({ state }) => state !== "done");
  if (input.onDependencyDeath === "fail" && open.some(({ isEnded }) => isEnded)) return "doomed";
  return open.every(({ isEnded }) => isEnded) ? "free" : "blocked";
}

const unblocked: Judge = (known, after, act) => {
  if (standing(known, act.get) !== "free") return "it waits for other tasks";
  return (after.state === "scheduled") === known.notBefore > act.now ? null : "its delay was ignored";
};

const doomed: Judge = (known, after, { get }) =>
  standing(known, get) === "doomed" && after.reason === "dependency" ? null : "no task that it depends on has died";

const begun: Judge = (known, after, { request, now }) => {
  const { self } = (request?.input ?? {}) as Named;
  const isOwn = self !== undefined && known.isHeldBy(self.chat, self.incarnation, after.claim, now);
  return isOwn ? null : "its holder has not begun it";
};

/** A task may move to another chat until its work has begun. */
const moved: Judge = (known, after, act) => {
  if (act.request) return "a request for something else moved it";
  return after.chat === known.held?.chat ? "its chat has it already" : act.whyNot(known, after);
};

const granted: Judge = (known, after, act) => act.whyNot(known, after);

const cancelled: Judge = ({ task }, _, { request }) =>
  request?.name === "tasks.cancel" && (request.input as Named).task === task ? null : "it was not cancelled";

const ways: Readonly<Record<string, Judge>> = {
  "blocked queued": unblocked,
  "blocked scheduled": unblocked,
  "blocked dead": doomed,
  "blocked cancelled": cancelled,
  "scheduled queued": ({ notBefore }, _, { now }) => (notBefore <= now ? null : `${notBefore - now} ms too early`),
  "scheduled cancelled": cancelled,
  "queued cancelled": cancelled,
  "queued dead": (known, { reason }, { now }) =>
    reason === "expired" && known.isExpired(now) ? null : "its time was not over",
  "queued assigned": granted,
  "queued running": granted,
  "assigned assigned": moved,
  "assigned running": begun,
};

const afterAnEnd = new Set<TaskState>(["queued", "scheduled", "dead", "done", "cancelled"]);

export const whyWrong: Judge = (known, after, act) => {
  const isEnd = (known.state === "assigned" || known.state === "running") && afterAnEnd.has(after.state);
  const judge = isEnd ? returned : ways[`${known.state} ${after.state}`];
  return judge ? judge(known, after, act) : "no such change is known";
};

import type { CheckedInputOf } from "#src/contract/operations.ts";
import type { AttemptEnd, DeathReason, TaskState } from "#src/contract/tasks.ts";
import type { Usage } from "#src/contract/budgets.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { TaskFact } from "../host/facts.ts";
import type { Request } from "../host/sim-host.ts";
import type { KnownTask } from "./task-known.ts";

/** What happens in one commit, as far as tasks are concerned. */
export interface Act {
  readonly now: number;
  readonly settings: Settings;
  /** Null: the host's own work. */
  readonly request: Request | null;
  /** Chats that went offline in it, with the reason. */
  readonly gone: ReadonlyMap<string, string>;
  readonly get: (task: number) => KnownTask | undefined;
  /** Why a chat must not get a task; null: it may. */
  readonly whyNot: (known: KnownTask, fact: TaskFact) => string | null;
}

/** Why a task must not become what it became; null: it may. */
export type Judge = (known: KnownTask, after: TaskFact, act: Act) => string | null;

interface Named {
  readonly task?: number;
  readonly claim?: number;
  readonly usage?: Usage;
  readonly self?: { readonly chat: string; readonly incarnation: number };
}

export const endings: Readonly<Record<string, AttemptEnd>> = {
  "tasks.ack": "done",
  "tasks.nack": "failed",
  "tasks.release": "released",
};

/** Why the claim of a task is over: its holder says so, the holder is gone, or its time is. Null: nothing says so. */
export function endOf(known: KnownTask, act: Act): AttemptEnd | null {
  return asked(known, act) ?? lost(known, act) ?? overdue(known, act);
}

function asked(known: KnownTask, { request, now }: Act): AttemptEnd | null {
  if (!request) return null;
  const { task, claim = 0, self } = request.input as Named;
  if (task !== known.task) return null;
  if (!self) return request.name === "tasks.cancel" && known.state === "assigned" ? "cancelled" : null;
  return known.isHeldBy(self.chat, self.incarnation, claim, now) ? endBy(known, request) : null;
}

/** A heartbeat ends it only where it tells of a budget that is used up. */
function endBy(known: KnownTask, { name, input }: Request): AttemptEnd | null {
  if (name === "tasks.heartbeat" && known.isOverWith((input as Named).usage)) return "budget_exceeded";
  return endings[name] ?? null;
}

function lost({ held, state }: KnownTask, { gone }: Act): AttemptEnd | null {
  const reason = held && gone.get(held.chat);
  if (!reason) return null;
  if (state === "assigned") return "not_started";
  return reason === "left" ? "chat_left" : "chat_offline";
}

/** Only a sweep sees it. */
function overdue(known: KnownTask, { request, now }: Act): AttemptEnd | null {
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
  /** When it may be queued again, at the earliest and at the latest. */
  readonly from: number;
  readonly to: number;
}

const isFailure = (end: AttemptEnd): boolean => end === "failed" || end === "timeout";

/** What becomes of it. */
function follows(known: KnownTask, end: AttemptEnd, act: Act): Standing {
  const counts = {
    failures: known.failures + Number(isFailure(end)),
    stalls: known.stalls + Number(end === "stalled"),
    lostChats: known.lostChats + Number(end === "chat_offline"),
  };
  const ended = { ...counts, reason: null, from: known.notBefore, to: known.notBefore };
  if (end === "done") return { ...ended, state: "done" };
  if (known.isCancelAsked || end === "cancelled") return { ...ended, state: "cancelled" };
  const nack = end === "failed" ? (act.request?.input as CheckedInputOf<"tasks.nack">) : null;
  const reason = deathOf(known, end, counts, act);
  if (reason) return { ...ended, state: "dead", reason };
  const [from, to] = isFailure(end) ? backoff(known, counts.failures, nack) : [0, 0];
  return { ...counts, state: from > 0 ? "scheduled" : "queued", reason: null, from: act.now + from, to: act.now + to };
}

type Counts = Pick<Standing, "failures" | "stalls" | "lostChats">;

function deathOf(known: KnownTask, end: AttemptEnd, counts: Counts, { request, settings }: Act): DeathReason | null {
  const { isRetryable, usage } = (reports.has(end) && request ? request.input : {}) as Report;
  if (known.isOverWith(usage)) return "budget_exceeded";
  if (counts.failures >= known.input.maxAttempts || isRetryable === false) return "failed";
  return counts.stalls >= settings.maxStalls || counts.lostChats >= settings.maxLostChats ? "poison" : null;
}

/** Ends of which the one who has the task tells. */
const reports = new Set<AttemptEnd>(["failed", "released", "budget_exceeded"]);
interface Report {
  readonly isRetryable?: boolean;
  readonly usage?: Usage;
}

function backoff({ input }: KnownTask, failures: number, nack: CheckedInputOf<"tasks.nack"> | null): [number, number] {
  const delayMs = nack?.delayMs;
  if (delayMs !== undefined) return [delayMs, delayMs];
  const { baseMs, capMs, hasJitter } = input.backoff;
  const most = Math.min(capMs, baseMs * 2 ** (failures - 1));
  return [hasJitter ? Math.ceil(most / 2) : most, most];
}

const counted = ["state", "reason", "failures", "stalls", "lostChats"] as const;

const returned: Judge = (known, after, act) => {
  const end = endOf(known, act);
  if (!end) return `it was taken from ${known.held?.chat}, and nothing says why`;
  const expected = follows(known, end, act);
  const wrong = counted.find((name) => after[name] !== expected[name]);
  if (wrong) return `after its end (${end}) ${wrong} is ${after[wrong]}, not ${expected[wrong]}`;
  const isTimely = after.notBefore >= expected.from && after.notBefore <= expected.to;
  return isTimely ? null : `after its end (${end}) it waits for ${after.notBefore - act.now} ms`;
};

export function standing({ needs, input }: KnownTask, get: Act["get"]): "free" | "blocked" | "doomed" {
  // What is not known any more was pruned: it had ended.
  const open = needs.flatMap((need) => get(need) ?? []).filter(({ state }) => state !== "done");
  if (input.onDependencyDeath === "fail" && open.some(({ isEnded }) => isEnded)) return "doomed";
  return open.every(({ isEnded }) => isEnded) ? "free" : "blocked";
}

const unblocked: Judge = (known, after, act) => {
  if (standing(known, act.get) !== "free") return "it goes on, and waits for others";
  return (after.state === "scheduled") === known.notBefore > act.now ? null : "its time was not looked at";
};

const doomed: Judge = (known, after, { get }) =>
  standing(known, get) === "doomed" && after.reason === "dependency" ? null : "nothing that it depends on has died";

const begun: Judge = (known, after, { request, now }) => {
  const { self } = (request?.input ?? {}) as Named;
  const isOwn = self !== undefined && known.isHeldBy(self.chat, self.incarnation, after.claim, now);
  return isOwn ? null : "nobody who has it has begun it";
};

/** It may go to another chat as long as nobody has begun it. */
const moved: Judge = (known, after, act) => {
  if (act.request) return "somebody asked for something else";
  return after.chat === known.held?.chat ? "its chat has it already" : act.whyNot(known, after);
};

const joined: Judge = (known, after, { get }) => {
  if (known.input.joinRule === undefined) return "nobody has worked on it";
  if (standing(known, get) !== "free") return "it joins what has not ended";
  return after.chat === null ? null : "somebody has it";
};

const granted: Judge = (known, after, act) => act.whyNot(known, after);

const cancelled: Judge = ({ task }, _, { request }) =>
  request?.name === "tasks.cancel" && (request.input as Named).task === task ? null : "nobody has cancelled it";

const replayed: Judge = (known, after, { request, get }) => {
  if (request?.name !== "tasks.replay") return "nobody has asked for it again";
  if (known.reason === "discarded") return "it was discarded";
  if (after.failures + after.stalls + after.lostChats > 0) return "its counts are not those of a new one";
  return { free: "queued", blocked: "blocked", doomed: "dead" }[standing(known, get)] === after.state
    ? null
    : "it depends on others";
};

const discarded: Judge = (known, after, act) => {
  if (act.request?.name === "tasks.discard") return after.reason === "discarded" ? null : "it is not discarded";
  return joinedAgain(known, after, act);
};

/** A replayed one that the coordinator joins. */
const joinedAgain: Judge = (known, after, act) =>
  act.request?.name === "tasks.replay" && known.reason !== "discarded"
    ? joined(known, after, act)
    : "nobody has discarded it";

const ways: Readonly<Record<string, Judge>> = {
  "blocked queued": unblocked,
  "blocked scheduled": unblocked,
  "blocked dead": doomed,
  "blocked cancelled": cancelled,
  "blocked blocked": joined,
  "blocked done": joined,
  "scheduled queued": ({ notBefore }, _, { now }) => (notBefore <= now ? null : `${notBefore - now} ms too early`),
  "scheduled cancelled": cancelled,
  "queued cancelled": cancelled,
  "queued dead": (known, { reason }, { now }) =>
    reason === "expired" && known.isExpired(now) ? null : "its time was not over",
  "queued assigned": granted,
  "queued running": granted,
  "assigned assigned": moved,
  "assigned running": begun,
  "assigned queued": returned,
  "assigned scheduled": returned,
  "assigned dead": returned,
  "assigned done": returned,
  "assigned cancelled": returned,
  "running queued": returned,
  "running scheduled": returned,
  "running dead": returned,
  "running done": returned,
  "running cancelled": returned,
  "dead queued": replayed,
  "dead blocked": replayed,
  "dead dead": discarded,
  "dead done": joinedAgain,
};

/** What is wrong with a change of a task; null: nothing. */
export const whyWrong: Judge = (known, after, act) => {
  const judge = ways[`${known.state} ${after.state}`];
  return judge ? judge(known, after, act) : "no such change is known";
};

import type { AttemptEnd, TaskState } from "#src/contract/tasks.ts";
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
  readonly self?: { readonly chat: string; readonly incarnation: number };
}

type Endings = Readonly<Record<string, AttemptEnd>>;
export const endings: Endings = { "tasks.ack": "done", "tasks.nack": "failed", "tasks.release": "released" };

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

/** What it must become by this end; null: any state in which it waits, or dead. */
function finalState({ isCancelAsked }: KnownTask, end: AttemptEnd): TaskState | null {
  if (end === "done") return "done";
  return isCancelAsked || end === "cancelled" ? "cancelled" : null;
}

const returned: Judge = (known, after, act) => {
  const end = endOf(known, act);
  if (!end) return `it was taken from ${known.held?.chat}, and no cause is known`;
  const isFinal = after.state === "done" || after.state === "cancelled";
  const isRight = finalState(known, end) === (isFinal ? after.state : null);
  return isRight ? null : `its end was ${end}`;
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

import type { AttemptEnd, DeathReason, NewTask, TaskState } from "#src/contract/tasks.ts";
import type { Json } from "#src/contract/json.ts";

/** One assignment of a task, as it must be by what was asked and answered. */
export interface HeldClaim {
  readonly claim: number;
  readonly chat: string;
  readonly incarnation: number;
  /** Of the request that took it; null: a look has given it, and its chat has not asked yet. */
  requestId: string | null;
  /** The checkpoint at its beginning, to go on from. */
  readonly fromStep: number;
  /** Not begun by then, it is over; null: it has begun. */
  startBy: number | null;
  closeAt: number;
  seenAt: number;
  /** The clock of the coordinator was set forward since: it may end before its holder can know. */
  isShaken?: boolean;
}

/** A claim that is over. */
interface EndedClaim {
  readonly end: AttemptEnd;
  readonly chat: string;
  readonly incarnation: number;
  readonly became: TaskState;
  /** Its holder could not know: the chat counted as gone, or it was not begun and taken from it. */
  readonly isSurprise: boolean;
  /** Calls on it since, by the chat that had it. */
  lateCalls: number;
}

/** So many of a task are kept. */
const mostEnds = 100;

/** A task that was accepted, and all that must be so of it. */
export class KnownTask {
  readonly task: number;
  readonly input: NewTask;
  readonly needs: readonly number[];
  readonly parent: number | null;
  state: TaskState;
  reason: DeathReason | null = null;
  payload: string;
  failures = 0;
  stalls = 0;
  lostChats = 0;
  notBefore: number;
  queuedAt = 0;
  held: HeldClaim | null = null;
  topClaim = 0;
  isCancelAsked = false;
  progress: string | null = null;
  checkpoint: string | null = null;
  result: string | null = null;
  /** Null: it has not ended. */
  keptUntil: number | null = null;
  readonly ends = new Map<number, EndedClaim>();
  /** Tokens that claims before the one that told last have used, and those of that one. */
  #used = { claim: 0, before: 0, own: 0 };

  constructor(
    task: number,
    input: NewTask,
    of: { needs: readonly number[]; parent: number | null; at: number },
    state: TaskState,
  ) {
    this.task = task;
    this.input = input;
    this.needs = of.needs;
    this.parent = of.parent;
    this.state = state;
    this.payload = JSON.stringify(input.payload);
    this.notBefore = of.at + input.delayMs;
  }

  get isEnded(): boolean {
    return this.state === "done" || this.state === "dead" || this.state === "cancelled";
  }

  /** Tokens that it has used in all, once this report of its present claim is counted. */
  usedWith({ tokens = 0 }: { tokens?: number } = {}): number {
    const { before, own } = this.#usedBy(this.topClaim);
    return before + Math.max(own, tokens);
  }

  #usedBy(claim: number): { claim: number; before: number; own: number } {
    const used = this.#used;
    return used.claim === claim ? used : { claim, before: used.before + used.own, own: 0 };
  }

  note({ tokens = 0 }: { tokens?: number } = {}): void {
    const used = this.#usedBy(this.topClaim);
    if (tokens > used.own) this.#used = { ...used, own: tokens };
  }

  /** Whether a report reaches its limit. */
  isOverWith(usage: { tokens?: number } | undefined): boolean {
    const limit = this.input.budget?.tokens;
    return usage !== undefined && limit !== undefined && this.usedWith(usage) >= limit;
  }

  forgetUse(): void {
    this.#used = { claim: 0, before: 0, own: 0 };
  }

  /** Nobody gets it then. */
  isExpired(now: number): boolean {
    const { scheduleToStartMs } = this.input;
    return scheduleToStartMs !== undefined && this.queuedAt + scheduleToStartMs <= now;
  }

  /** The last instant of its claim. */
  endsAt(): number {
    const { held } = this;
    if (!held) return 0;
    return held.startBy ?? Math.min(held.closeAt, held.seenAt + this.input.heartbeatMs);
  }

  isHeldBy(chat: string, incarnation: number, claim: number, now: number): boolean {
    const { held } = this;
    const isOwn = held?.chat === chat && held.incarnation === incarnation && held.claim === claim;
    return isOwn && now < this.endsAt();
  }

  ended(end: AttemptEnd, became: TaskState, isSurprise: boolean): void {
    const { held, ends } = this;
    if (!held) return;
    ends.set(held.claim, { end, chat: held.chat, incarnation: held.incarnation, became, isSurprise, lateCalls: 0 });
    const [oldest] = ends.keys();
    if (ends.size > mostEnds && oldest !== undefined) ends.delete(oldest);
    this.held = null;
  }

  /** Counted up to a hundred times. */
  isLate(claim: number, chat: string): void {
    const ended = this.ends.get(claim);
    if (ended?.chat === chat && ended.lateCalls < mostEnds) ended.lateCalls += 1;
  }

  begins(now: number): void {
    const { held } = this;
    if (!held) return;
    held.startBy = null;
    held.closeAt = now + this.input.startToCloseMs;
    held.seenAt = now;
  }
}

/** How far the work has come, by a checkpoint of the simulation. */
export function stepOf(checkpoint: Json | undefined): number {
  return (checkpoint as { step?: number } | null | undefined)?.step ?? 0;
}

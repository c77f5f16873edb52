import type { Json } from "#src/contract/values.ts";
import type { AttemptEnd, DeathReason, NewTask, TaskState } from "#src/contract/tasks.ts";

/** The present claim of a task. */
export interface HeldClaim {
  readonly claim: number;
  readonly chat: string;
  readonly incarnation: number;
  /** The request that took it; null: a dispatch assigned it, and its chat has not asked yet. */
  requestId: string | null;
  /** The checkpoint at its beginning. */
  readonly fromStep: number;
  /** The deadline of the start; null: the work has begun. */
  startBy: number | null;
  closeAt: number;
  seenAt: number;
  /** The coordinator's clock was set forward since, so the claim may end before its holder can know. */
  isShaken?: boolean;
}

interface EndedClaim {
  readonly end: AttemptEnd;
  readonly chat: string;
  readonly incarnation: number;
  readonly became: TaskState;
  /** Its holder could not know: its chat counted as gone, or the task was moved before the start. */
  readonly isSurprise: boolean;
}

const mostEnds = 100;

interface Used {
  readonly claim: number;
  /** Tokens of the claims before this one, and of its own. */
  readonly before: number;
  readonly own: number;
}

const unused: Used = { claim: 0, before: 0, own: 0 };

/** A task that was accepted and is kept. */
export class KnownTask {
  readonly task: number;
  readonly input: NewTask;
  readonly needs: readonly number[];
  readonly parent: number | null;
  state: TaskState = "blocked";
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
  /** By claim. */
  readonly ends = new Map<number, EndedClaim>();
  #used = unused;

  constructor(task: number, input: NewTask, needs: readonly number[], parent: number | null, at: number) {
    this.task = task;
    this.input = input;
    this.needs = needs;
    this.parent = parent;
    this.payload = JSON.stringify(input.payload);
    this.notBefore = at + input.delayMs;
  }

  get isEnded(): boolean {
    return this.state === "done" || this.state === "dead" || this.state === "cancelled";
  }

  /** Tokens used in all, once this report of the present claim is counted. A claim reports its total. */
  usedWith({ tokens = 0 }: { tokens?: number } = {}): number {
    const { before, own } = this.#usedNow();
    return before + Math.max(own, tokens);
  }

  #usedNow(): Used {
    const { claim, before, own } = this.#used;
    return claim === this.topClaim ? this.#used : { claim: this.topClaim, before: before + own, own: 0 };
  }

  addUsage({ tokens = 0 }: { tokens?: number } = {}): void {
    const used = this.#usedNow();
    if (tokens > used.own) this.#used = { ...used, own: tokens };
  }

  forgetUsage(): void {
    this.#used = unused;
  }

  isOverBudgetWith(usage: { tokens?: number } | undefined): boolean {
    const limit = this.input.budget?.tokens;
    return usage !== undefined && limit !== undefined && this.usedWith(usage) >= limit;
  }

  /** Its time in the queue is over. */
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

  begins(now: number): void {
    if (!this.held) return;
    this.held.startBy = null;
    this.held.closeAt = now + this.input.startToCloseMs;
    this.held.seenAt = now;
  }

  ended(end: AttemptEnd, became: TaskState, isSurprise: boolean): void {
    const { held, ends } = this;
    if (!held) return;
    const { chat, incarnation, claim } = held;
    ends.set(claim, { end, chat, incarnation, became, isSurprise });
    const [oldest] = ends.keys();
    if (ends.size > mostEnds && oldest !== undefined) ends.delete(oldest);
    this.held = null;
  }
}

/** The progress of the simulation's work, by its checkpoint. */
export function stepOf(checkpoint: Json | undefined): number {
  return (checkpoint as { step?: number } | null | undefined)?.step ?? 0;
}

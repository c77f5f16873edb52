import { messageOf } from "../../shared/error.ts";
import { omitUndefined } from "../../shared/given.ts";
import { redact } from "../redaction/redact.ts";
import type { runProgram } from "../automation/run-program.ts";
import * as restarter from "./auto-restarter.ts";
import { isAttempt, type Attempt, type Supervised } from "./supervised.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";
import { noChat, type Kept, type SupervisorState } from "./supervisor-state.ts";

export interface SupervisedProgramOptions {
  readonly name: string;
  readonly supervised: Supervised;
  readonly kept: Kept;
  readonly state: SupervisorState;
  readonly policy: restarter.Policy;
  readonly patience: Patience;
  readonly now: () => number;
  readonly run: typeof runProgram;
  readonly tell: (event: SupervisorEvent) => void;
  /** [SU30] See `Program`. */
  readonly pace?: (() => Promise<unknown> | null) | undefined;
  /** Something has changed: it is worth a look. */
  readonly wake: () => void;
}

/** How long it may take to end when it is asked to, in ms: after INT, and after TERM. */
export interface Patience {
  readonly interruptMs: number;
  readonly graceMs: number;
}

/** One program that is kept running. At any time at most one process of it is there. */
export class SupervisedProgram {
  readonly #options: SupervisedProgramOptions;
  readonly #leaving = new AbortController();
  #kept: Kept;
  #running: Promise<void> | null = null;
  /** When what is known is to be written down once more, epoch ms; null: it is. */
  #writeAgainAt: number | null = null;

  constructor(options: SupervisedProgramOptions) {
    this.#options = options;
    const { kept, now } = options;
    this.#kept = { ...kept, restarts: restarter.inherited(kept.restarts, now()) };
  }

  get name(): string {
    return this.#options.name;
  }

  /** In which Claude Code works. */
  get session(): string | null {
    return this.#kept.chat.session;
  }

  /** Ms until it wants to be looked at; null: until something happens. */
  dueIn(): number | null {
    return this.#running ? null : restarter.dueIn(this.#kept.restarts, this.#options.now());
  }

  /** Starts what is due, and what somebody wants again. */
  check(): void {
    try {
      this.#check();
    } catch (error) {
      this.#hold(error);
    }
  }

  #check(): void {
    const { name, state, now } = this.#options;
    if (this.#writeAgainAt !== null && now() >= this.#writeAgainAt) this.#keep({});
    if (state.isAskedAgain(name) && !this.#running) {
      const { chat, restarts } = this.#kept;
      // What has ended well begins anew; what has not goes on.
      this.#keep({ restarts: restarter.begun(now()), chat: restarts.phase === "finished" ? noChat : chat });
    }
    if (this.dueIn() !== 0 || this.#leaving.signal.aborted) return;
    const attempt = this.#next();
    if (!attempt) return;
    this.#running = this.#run(attempt)
      .catch((error: unknown) => this.#hold(error))
      .finally(() => this.#isOver());
  }

  /** Ends it, for the next supervisor to go on with. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#running;
  }

  #isOver(): void {
    this.#running = null;
    this.#options.wake();
  }

  #keep(change: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...change };
    this.#writeAgainAt = this.#options.now() + restarter.heldMs;
    this.#options.state.keep(this.name, this.#kept);
    this.#writeAgainAt = null;
  }

  #next(): Attempt | null {
    const { supervised, now, tell } = this.#options;
    const next = supervised.next(this.#kept);
    if (isAttempt(next)) return next;
    const { kind, reason } = next;
    const { restarts } = this.#kept;
    if (kind === "held" && restarts.reason !== reason) tell({ type: "held", name: this.name, reason });
    if (kind === "held") this.#keep({ restarts: restarter.held(restarts, now(), reason) });
    else this.#end({ kind }, reason);
    return null;
  }

  /** A store or a disk that fails now may do later; the others go on. What cannot be written down is remembered, and written later. */
  #hold(error: unknown): void {
    const message = messageOf(error);
    this.#options.tell({ type: "problem", name: this.name, message });
    const { restarts } = this.#kept;
    const isWanted = restarts.phase === "running" || restarts.phase === "due";
    if (isWanted) this.#kept = { ...this.#kept, restarts: restarter.held(restarts, this.#options.now(), message) };
  }

  async #run(attempt: Attempt): Promise<void> {
    const { name, now, tell } = this.#options;
    const { start, how, chat, hear, over } = attempt;
    // Written down first: a supervisor that is killed now leaves no program that nobody knows of.
    this.#keep({ chat, restarts: restarter.started(this.#kept.restarts, now()) });
    tell({ type: "started", name, how, session: chat.session });
    const show = (text: string | null): void => {
      if (text !== null) tell({ type: "output", name, text });
    };
    const ended = await this.#options.run({
      ...start,
      signal: this.#leaving.signal,
      ...this.#options.patience,
      ...omitUndefined({ pace: this.#options.pace }),
      onLine: (line) => show(hear(line)),
      onComplaint: (text) => show(redact(text.trimEnd()).text),
    });
    const known = await over(ended, this.#leaving.signal.aborted);
    this.#end(known.ending, null, known.chat);
  }

  #end(ending: Parameters<typeof restarter.ended>[1], why: string | null = null, chat = this.#kept.chat): void {
    const { policy, now, tell, name } = this.#options;
    const ranMs = now() - this.#kept.restarts.since;
    const restarts = restarter.ended(this.#kept.restarts, ending, now(), policy);
    this.#keep({ restarts, chat });
    const { phase, reason } = restarts;
    tell({
      type: "ended",
      name,
      phase,
      reason: why ?? reason,
      againInMs: restarter.dueIn(restarts, now()),
      ranMs,
      isProgram: true,
    });
  }
}

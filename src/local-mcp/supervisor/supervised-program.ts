import { messageOf } from "../../shared/error.ts";
import type { runProgram } from "../automation/run-program.ts";
import * as restarter from "./auto-restarter.ts";
import { isAttempt, type Attempt, type Supervised } from "./supervised.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";
import type { Kept, SupervisorState } from "./supervisor-state.ts";

export interface SupervisedProgramOptions {
  readonly name: string;
  readonly supervised: Supervised;
  readonly kept: Kept;
  readonly state: SupervisorState;
  readonly policy: restarter.Policy;
  /** How long it may take to end when it is asked to, in ms. */
  readonly stopMs: number;
  readonly now: () => number;
  readonly run: typeof runProgram;
  readonly tell: (event: SupervisorEvent) => void;
  /** Something has changed: it is worth a look. */
  readonly wake: () => void;
}

/** Between TERM and KILL; SHIM's own server saves files meanwhile. */
const graceMs = 6_000;
/** Of one line: the last event of Claude Code repeats what was refused. */
const mostLineChars = 4_000_000;

/** One program that is kept running. At any time at most one process of it is there. */
export class SupervisedProgram {
  readonly #options: SupervisedProgramOptions;
  readonly #leaving = new AbortController();
  #kept: Kept;
  #running: Promise<void> | null = null;

  constructor(options: SupervisedProgramOptions) {
    this.#options = options;
    const { kept, now } = options;
    this.#kept = { ...kept, restarts: restarter.inherited(kept.restarts, now()) };
  }

  get name(): string {
    return this.#options.name;
  }

  /** Ms until it wants to be looked at; null: until something happens. */
  dueIn(): number | null {
    return this.#running ? null : restarter.dueIn(this.#kept.restarts, this.#options.now());
  }

  /** Starts what is due, and what somebody wants again. */
  look(): void {
    const { name, state, now } = this.#options;
    if (state.isAskedAgain(name) && !this.#running) this.#keep({ restarts: restarter.begun(now()) });
    if (this.dueIn() !== 0 || this.#leaving.signal.aborted) return;
    const attempt = this.#next();
    if (attempt) this.#running = this.#run(attempt).finally(() => this.#isOver());
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
    this.#options.state.keep(this.name, this.#kept);
  }

  #next(): Attempt | null {
    const { supervised, now, tell } = this.#options;
    try {
      const next = supervised.next(this.#kept);
      if (isAttempt(next)) return next;
      const { kind, reason } = next;
      const { restarts } = this.#kept;
      if (kind === "held" && restarts.reason !== reason) tell({ type: "held", name: this.name, reason });
      if (kind === "held") this.#keep({ restarts: restarter.held(restarts, now(), reason) });
      else this.#end({ kind }, reason);
    } catch (error) {
      // A store or a disk that fails now may do later; the others go on.
      this.#fail(error);
      this.#kept = { ...this.#kept, restarts: restarter.held(this.#kept.restarts, now(), messageOf(error)) };
    }
    return null;
  }

  #fail(error: unknown): void {
    this.#options.tell({ type: "problem", name: this.name, message: messageOf(error) });
  }

  async #run(attempt: Attempt): Promise<void> {
    const { name, now, tell } = this.#options;
    const { start, how, chat, hear, over } = attempt;
    try {
      this.#keep({ chat, restarts: restarter.started(this.#kept.restarts, now()) });
      tell({ type: "started", name, how, session: chat.session });
      const show = (text: string | null): void => {
        if (text !== null) tell({ type: "output", name, text });
      };
      const ended = await this.#options.run({
        ...start,
        signal: this.#leaving.signal,
        interruptMs: this.#options.stopMs,
        graceMs,
        mostLineChars,
        onLine: (line) => show(hear(line)),
        onComplaint: (text) => show(text.trimEnd()),
      });
      const known = await over(ended, this.#leaving.signal.aborted);
      this.#end(known.ending, null, known.chat);
    } catch (error) {
      this.#fail(error);
      this.#end({ kind: "crashed", reason: messageOf(error) });
    }
  }

  #end(ending: Parameters<typeof restarter.ended>[1], why: string | null = null, chat = this.#kept.chat): void {
    const { policy, now, tell, name } = this.#options;
    const ranMs = now() - this.#kept.restarts.since;
    const restarts = restarter.ended(this.#kept.restarts, ending, now(), policy);
    this.#keep({ restarts, chat });
    const { phase, reason } = restarts;
    tell({ type: "ended", name, phase, reason: why ?? reason, againInMs: restarter.dueIn(restarts, now()), ranMs });
  }
}

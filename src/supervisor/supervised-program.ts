import { messageOf } from "../shared/error.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { redact } from "../redaction/redact.ts";
import type { StopTimeouts } from "../worker-runner/client/client-run.ts";
import type { Program, ProgramExit, runProgram } from "../worker-runner/run-program.ts";
import * as restarter from "./auto-restarter.ts";
import { toEndedEvent, type SupervisorEvent } from "./supervisor-events.ts";
import { noChat, type ProgramChat, type ProgramState, type SupervisorState } from "./supervisor-state.ts";

export type ProgramStart = Pick<Program, "command" | "args" | "cwd" | "env" | "input" | "maxLineChars">;

export interface ProgramRun {
  readonly start: ProgramStart;
  /** Done before the start; absent: nothing. Gives what is done after the end. */
  readonly prepare?: () => Promise<() => Promise<void>>;
  readonly how: string;
  readonly chat: ProgramChat;
  readonly onLine: (line: string) => string | null;
  readonly onEnd: (exit: ProgramExit, wasAskedToEnd: boolean) => Promise<RunEnd>;
}

export interface RunEnd {
  readonly ending: restarter.ProgramEnding;
  readonly chat: ProgramChat;
}

export interface Supervised {
  next(state: ProgramState): ProgramRun | NotRun;
}

export type NotRun = { readonly kind: "finished" | "held"; readonly reason: string };

/** Any program. */
export function supervisedCommand(start: Omit<ProgramStart, "input">): Supervised {
  return {
    next: ({ chat }) => ({
      start: { ...start, input: "" },
      how: redact([start.command, ...start.args].join(" ")).text,
      chat,
      onLine: (line) => redact(line).text,
      onEnd: async (exit, wasAskedToEnd) => ({
        ending: restarter.classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null }),
        chat,
      }),
    }),
  };
}

export interface SupervisedProgramOptions {
  readonly name: string;
  readonly supervised: Supervised;
  readonly initialState: ProgramState;
  readonly state: SupervisorState;
  readonly policy: restarter.RestartPolicy;
  readonly stopTimeouts: StopTimeouts;
  readonly now: () => number;
  readonly run: typeof runProgram;
  readonly emit: (event: SupervisorEvent) => void;
  readonly pace?: (() => Promise<unknown> | null) | undefined;
  readonly wake: () => void;
  readonly onStart: (planned: restarter.Restarts) => void;
}

/** Keeps one program running; never two processes of it at a time. */
export class SupervisedProgram {
  readonly #options: SupervisedProgramOptions;
  readonly #stopController = new AbortController();
  #programState: ProgramState;
  #running: Promise<void> | null = null;
  #writeAgainAt: number | null = null;

  constructor(options: SupervisedProgramOptions) {
    this.#options = options;
    const { initialState, now } = options;
    this.#programState = { ...initialState, restarts: restarter.afterTakeover(initialState.restarts, now()) };
  }

  get name(): string {
    return this.#options.name;
  }

  get session(): string | null {
    return this.#programState.chat.session;
  }

  /** Ms until the next check; null: no timer is needed. */
  dueInMs(): number | null {
    return this.#running ? null : restarter.dueInMs(this.#programState.restarts, this.#options.now());
  }

  check(): void {
    try {
      this.#check();
    } catch (error) {
      this.#hold(error);
    }
  }

  #check(): void {
    const { name, state, now } = this.#options;
    if (this.#writeAgainAt !== null && now() >= this.#writeAgainAt) this.#save({});
    if (state.takeRestartRequest(name) && !this.#running) {
      const { chat, restarts } = this.#programState;
      // A program that ended well starts fresh; others continue their session.
      this.#save({ restarts: restarter.afterRequest(now()), chat: restarts.phase === "finished" ? noChat : chat });
    }
    if (this.dueInMs() !== 0 || this.#stopController.signal.aborted) return;
    const programRun = this.#nextRun();
    if (!programRun) return;
    this.#running = this.#run(programRun)
      .catch((error: unknown) => this.#hold(error))
      .finally(() => this.#onRunEnd());
  }

  async leave(): Promise<void> {
    this.#stopController.abort();
    await this.#running;
  }

  #onRunEnd(): void {
    this.#running = null;
    this.#options.wake();
  }

  #save(change: Partial<ProgramState>): void {
    this.#programState = { ...this.#programState, ...change };
    this.#writeAgainAt = this.#options.now() + restarter.holdMs;
    this.#options.state.save(this.name, this.#programState);
    this.#writeAgainAt = null;
  }

  #nextRun(): ProgramRun | null {
    const { supervised, now, emit } = this.#options;
    const nextRun = supervised.next(this.#programState);
    if ("start" in nextRun) return nextRun;
    const { kind, reason } = nextRun;
    const { restarts } = this.#programState;
    if (kind === "held" && restarts.reason !== reason) emit({ type: "held", name: this.name, reason });
    if (kind === "held") this.#save({ restarts: restarter.afterHold(restarts, now(), reason) });
    else this.#recordEnd({ kind }, reason);
    return null;
  }

  /** A store or disk failure may pass: unsaved state is kept in memory and saved later. */
  #hold(error: unknown): void {
    const message = messageOf(error);
    this.#options.emit({ type: "problem", name: this.name, message });
    const { restarts } = this.#programState;
    const isActive = restarts.phase === "running" || restarts.phase === "due";
    if (isActive)
      this.#programState = {
        ...this.#programState,
        restarts: restarter.afterHold(restarts, this.#options.now(), message),
      };
  }

  async #run(programRun: ProgramRun): Promise<void> {
    const { name, now, emit } = this.#options;
    const { start, prepare, how, chat, onLine, onEnd } = programRun;
    // Saved first, so that a killed supervisor leaves no unknown program.
    const { restarts } = this.#programState;
    this.#save({ chat, restarts: restarter.afterStart(restarts, now()) });
    this.#options.onStart(restarts);
    const release = await prepare?.();
    emit({ type: "started", name, how, session: chat.session });
    const emitOutput = (text: string | null): void => {
      if (text !== null) emit({ type: "output", name, text });
    };
    const exit = await this.#options.run({
      ...start,
      signal: this.#stopController.signal,
      ...this.#options.stopTimeouts,
      ...omitUndefined({ pace: this.#options.pace }),
      onLine: (line) => emitOutput(onLine(line)),
      onStderr: (text) => emitOutput(redact(text.trimEnd()).text),
    });
    const runEnd = await onEnd(exit, this.#stopController.signal.aborted);
    await release?.();
    this.#recordEnd(runEnd.ending, null, runEnd.chat);
  }

  #recordEnd(
    ending: Parameters<typeof restarter.afterEnd>[1],
    endReason: string | null = null,
    chat = this.#programState.chat,
  ): void {
    const { policy, now, emit, name } = this.#options;
    const previous = this.#programState.restarts;
    const restarts = restarter.afterEnd(previous, ending, now(), policy);
    this.#save({ restarts, chat });
    const event = toEndedEvent({ name, isProgram: true }, previous, restarts, now());
    emit({ ...event, reason: endReason ?? restarts.reason });
  }
}

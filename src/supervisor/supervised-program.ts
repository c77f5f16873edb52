import { messageOf } from "../shared/error.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { redact } from "../redaction/redact.ts";
import type { Program, ProgramExit, runProgram } from "../worker-runner/run-program.ts";
import * as restarter from "./auto-restarter.ts";
import { dueInMs, type Restarts } from "./auto-restarter.ts";
import type { SupervisorSettings, WatchedProgram } from "./supervisor-settings.ts";
import { noChat, type ProgramChat, type ProgramState, type SupervisorState } from "./supervisor-state.ts";
import type { CrashCause } from "../contract/readings.ts";
import { logFailure, type ClientDeps } from "../worker-runner/client/continuation.ts";

/** `type` is the field `event` of `shim worker supervise --json`. */
export type SupervisorEvent =
  | { readonly type: "supervising"; readonly pid: number; readonly watched: readonly string[] }
  | { readonly type: "started"; readonly name: string; readonly how: string; readonly session: string | null }
  | { readonly type: "output"; readonly name: string; readonly text: string }
  | {
      readonly type: "ended";
      readonly name: string;
      readonly phase: Restarts["phase"];
      readonly reason: string | null;
      readonly againInMs: number | null;
      readonly ranMs: number;
      /** False: a chat, or an app, that the user has started. */
      readonly isProgram: boolean;
    }
  | {
      readonly type: "died";
      readonly name: string;
      readonly session: string;
      readonly cause: CrashCause;
      readonly checkpoint: string | null;
    }
  /** `session`: null where an app is started, not a chat. */
  | { readonly type: "restarting"; readonly name: string; readonly session: string | null; readonly how: string }
  | { readonly type: "held"; readonly name: string; readonly reason: string }
  | { readonly type: "ending"; readonly reason: string }
  | { readonly type: "problem"; readonly name: string | null; readonly message: string };

type EndedEvent = Extract<SupervisorEvent, { type: "ended" }>;

export function toEndedEvent(
  { name, isProgram }: Pick<EndedEvent, "name" | "isProgram">,
  previous: Restarts,
  restarts: Restarts,
  now: number,
): EndedEvent {
  const { phase, reason } = restarts;
  const againInMs = dueInMs(restarts, now);
  return { type: "ended", name, phase, reason, againInMs, ranMs: now - previous.since, isProgram };
}

export interface DeathDeps extends ClientDeps {
  readonly emit: (event: SupervisorEvent) => void;
}

/**
 * [SU6] [SU10] Has the host save the last checkpoint and attest the death.
 *
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeath({ call, emit }: DeathDeps, session: string): Promise<string | null> {
  try {
    const recorded = await call("recovery.record-death", { session });
    if (!recorded.ok) throw new Error(recorded.error.message);
    const { checkpoint, trouble } = recorded.value;
    if (trouble !== null) emit({ type: "problem", name: null, message: trouble });
    return checkpoint;
  } catch (error) {
    emit({ type: "problem", name: null, message: `the last checkpoint of ${session}: ${messageOf(error)}` });
    return null;
  }
}

/** [OB15] Call for each start. The first one is no restart. */
export function countRestart({ runtime, call }: DeathDeps, { endedBy }: Restarts): void {
  if (!endedBy) return;
  const counted = call("metrics.count-restart", { reason: endedBy });
  void logFailure(runtime, "supervisor: a restart was not counted", counted);
}

export type ProgramStart = Pick<Program, "command" | "args" | "cwd" | "env" | "input" | "maxLineChars">;

export interface ProgramRun {
  readonly start: ProgramStart;
  /** Done before the start; absent: nothing. Gives what is done after the end. */
  readonly prepare?: () => Promise<() => Promise<void>>;
  readonly how: string;
  readonly chat: ProgramChat;
  readonly onLine: (line: string) => string | null;
  readonly onEnd: (exit: ProgramExit, wasAskedToEnd: boolean) => Promise<RunEnd>;
  /** Asked while it runs. @returns why it is to end and not to start again; null: it may go on */
  readonly whyStop?: () => string | null;
}

export interface RunEnd {
  readonly ending: restarter.ProgramEnding;
  readonly chat: ProgramChat;
}

export type NotRun = { readonly kind: "finished" | "held" | "stopped"; readonly reason: string };

/** Decides what runs next of a program. */
export type NextRun = (state: ProgramState) => ProgramRun | NotRun;

/** A program that has no session. */
export function commandRun(start: Omit<ProgramStart, "input">): NextRun {
  return ({ chat }) => ({
    start: { ...start, input: "" },
    how: redact([start.command, ...start.args].join(" ")).text,
    chat,
    onLine: (line) => redact(line).text,
    onEnd: async (exit, wasAskedToEnd) => {
      const seen = { exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null };
      return { ending: restarter.classifyEnd(seen), chat };
    },
  });
}

export interface ProgramDeps extends DeathDeps {
  readonly state: SupervisorState;
  readonly settings: Pick<SupervisorSettings, "restarts">;
  readonly run: typeof runProgram;
  /** [SU30] No more output is read until it resolves. Absent: all is read at once. */
  readonly pace?: () => Promise<unknown> | null;
}

/** SHIM's own server, started by Claude Code, saves files after TERM. */
const graceMs = 6_000;

/** Keeps one program running; never two processes of it at a time. */
export class SupervisedProgram {
  readonly name: string;
  readonly #deps: ProgramDeps;
  readonly #watched: WatchedProgram;
  readonly #next: NextRun;
  readonly #wake: () => void;
  readonly #now: () => number;
  readonly #stopController = new AbortController();
  #programState: ProgramState;
  #running: Promise<void> | null = null;
  /** Run that a rule has started and may end, with a text as the reason. */
  #ruleRun: { readonly whyStop: () => string | null; readonly controller: AbortController } | null = null;
  #writeAgainAt: number | null = null;

  /** @param wake called after the end of a run */
  constructor(deps: ProgramDeps, name: string, watched: WatchedProgram, next: NextRun, wake: () => void) {
    this.name = name;
    this.#deps = deps;
    this.#watched = watched;
    this.#next = next;
    this.#wake = wake;
    this.#now = deps.runtime.now;
    const stored = deps.state.stateFor(name, watched, this.#now());
    this.#programState = { ...stored, restarts: restarter.afterTakeover(stored.restarts, this.#now()) };
  }

  get session(): string | null {
    return this.#programState.chat.session;
  }

  /** Ms until the next check; null: no timer is needed. */
  dueInMs(): number | null {
    return this.#running ? null : restarter.dueInMs(this.#programState.restarts, this.#now());
  }

  check(): void {
    try {
      this.#check();
    } catch (error) {
      this.#hold(error);
    }
  }

  /** [LI4] Ends what the rule for a usage limit has started, or would start. */
  stopRule(reason: string): void {
    const { restarts, chat } = this.#programState;
    if (this.#ruleRun) this.#ruleRun.controller.abort(reason);
    else if (!this.#running && restarts.phase === "due" && chat.limit)
      this.#recordEnd({ kind: "stopped", reason }, null);
  }

  #check(): void {
    const now = this.#now();
    const why = this.#ruleRun?.whyStop() ?? null;
    if (why !== null) this.stopRule(why);
    if (this.#writeAgainAt !== null && now >= this.#writeAgainAt) this.#save({});
    if (this.#deps.state.takeRestartRequest(this.name) && !this.#running) {
      const { chat, restarts } = this.#programState;
      // A program that ended well starts fresh; others continue their session.
      const next = restarts.phase === "finished" ? noChat : { ...chat, limit: null };
      this.#save({ restarts: restarter.afterRequest(now), chat: next });
    }
    if (this.dueInMs() !== 0 || this.#stopController.signal.aborted) return;
    const programRun = this.#next(this.#programState);
    if (!("start" in programRun)) return this.#noteNotRun(programRun);
    this.#running = this.#run(programRun)
      .catch((error: unknown) => this.#hold(error))
      .finally(() => {
        this.#running = null;
        this.#wake();
      });
  }

  async leave(): Promise<void> {
    this.#stopController.abort();
    await this.#running;
  }

  #save(change: Partial<ProgramState>): void {
    this.#programState = { ...this.#programState, ...change };
    this.#writeAgainAt = this.#now() + restarter.holdMs;
    this.#deps.state.save(this.name, this.#programState);
    this.#writeAgainAt = null;
  }

  #noteNotRun({ kind, reason }: NotRun): void {
    const { restarts } = this.#programState;
    if (kind === "finished") return this.#recordEnd({ kind }, reason);
    if (kind === "stopped") return this.#recordEnd({ kind, reason }, null);
    if (restarts.reason !== reason) this.#deps.emit({ type: "held", name: this.name, reason });
    this.#save({ restarts: restarter.afterHold(restarts, this.#now(), reason) });
  }

  /** A store or disk failure may pass: unsaved state is kept in memory and saved later. */
  #hold(error: unknown): void {
    const message = messageOf(error);
    this.#deps.emit({ type: "problem", name: this.name, message });
    const { phase } = this.#programState.restarts;
    if (phase !== "running" && phase !== "due") return;
    const restarts = restarter.afterHold(this.#programState.restarts, this.#now(), message);
    this.#programState = { ...this.#programState, restarts };
  }

  async #run(programRun: ProgramRun): Promise<void> {
    const { name } = this;
    const { emit, pace, run } = this.#deps;
    const { kind, stopMs } = this.#watched;
    const { start, prepare, how, chat, onLine, onEnd, whyStop } = programRun;
    const controller = new AbortController();
    // Saved first, so that a killed supervisor leaves no unknown program.
    const { restarts } = this.#programState;
    this.#save({ chat, restarts: restarter.afterStart(restarts, this.#now()) });
    countRestart(this.#deps, restarts);
    const release = await prepare?.();
    emit({ type: "started", name, how, session: chat.session });
    const emitOutput = (text: string | null): void => {
      if (text !== null) emit({ type: "output", name, text });
    };
    if (whyStop) this.#ruleRun = { whyStop, controller };
    const exit = await run({
      ...start,
      signal: AbortSignal.any([this.#stopController.signal, controller.signal]),
      // INT makes Claude Code report its progress, and lets a worker finish its tasks.
      ...(kind === "command" ? { interruptMs: 0, graceMs: stopMs } : { interruptMs: stopMs, graceMs }),
      ...omitUndefined({ pace }),
      onLine: (line) => emitOutput(onLine(line)),
      onStderr: (text) => emitOutput(redact(text.trimEnd()).text),
    });
    this.#ruleRun = null;
    const isLeft = this.#stopController.signal.aborted;
    const { ending, chat: nextChat } = await onEnd(exit, isLeft || controller.signal.aborted);
    await release?.();
    const isStopped = ending.kind === "left" && !isLeft;
    const reason = String(controller.signal.reason);
    this.#recordEnd(isStopped ? { kind: "stopped", reason } : ending, null, nextChat);
  }

  #recordEnd(ending: restarter.ProgramEnding, endReason: string | null, chat = this.#programState.chat): void {
    const { settings, emit } = this.#deps;
    const now = this.#now();
    const previous = this.#programState.restarts;
    const policy = { when: this.#watched.restart, rules: settings.restarts };
    const restarts = restarter.afterEnd(previous, ending, now, policy);
    this.#save({ restarts, chat });
    const event = toEndedEvent({ name: this.name, isProgram: true }, previous, restarts, now);
    emit({ ...event, reason: endReason ?? restarts.reason });
  }
}

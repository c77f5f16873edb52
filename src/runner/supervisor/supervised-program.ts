import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import type { CrashCause } from "../../contract/readings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { Program as RunOptions, runProgram } from "../../platform/run-program.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { type AttemptOptions, ClientAttempt } from "../worker/client/client-attempt.ts";
import {
  type ClientWork,
  type Model,
  logFailure,
  sessionsIn,
  type Continuation,
  interruptedText,
  renderBrief,
  sessionToContinue,
} from "../worker/client/continuation.ts";
import type { RunOutcome } from "../worker/executor.ts";
import type { ClientDeps } from "../worker/machine-deps.ts";
import * as restarter from "./auto-restarter.ts";
import { dueInMs, type ProgramEnding, type Restarts } from "./auto-restarter.ts";
import type {
  SupervisorSettings,
  WatchedProgram,
  WatchedClaude,
  ProgramState,
  SupervisorState,
} from "./supervisor-state.ts";
import { whyNotRestart } from "../../machine/sessions/life/claim.ts";

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
      /** False: a chat that the user has started. */
      readonly isProgram: boolean;
    }
  | {
      readonly type: "died";
      readonly name: string;
      readonly session: string;
      readonly cause: CrashCause;
      readonly checkpoint: string | null;
    }
  | { readonly type: "restarting"; readonly name: string; readonly session: string; readonly how: string }
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
 * Has the host save the last checkpoint and attest the death.
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

/** Call for each start. The first one is no restart. */
export function countRestart({ runtime, call }: DeathDeps, { endedBy }: Restarts): void {
  if (!endedBy) return;
  const counted = call("metrics.count-restart", { reason: endedBy });
  void logFailure(runtime, "supervisor: a restart was not counted", counted);
}

type Checkpoint = ProgramState["checkpoint"];

/** One run of a program, and where the news of it goes. */
interface RunContext {
  /** Checkpoint of the run before. */
  readonly checkpoint: Checkpoint;
  /** Aborted: the supervisor ends. */
  readonly signal: AbortSignal;
  readonly onStart: (how: string, session: string | null) => void;
  /** Durable when it returns. */
  readonly onCheckpoint: (fields: Checkpoint) => void;
  readonly onOutput: (text: string) => void;
}

export interface Program {
  /** Why it is not started now; null: it may be. */
  readonly whyNot: (checkpoint: Checkpoint) => NotRun | null;
  readonly run: (context: RunContext) => Promise<ProgramEnding>;
}

export interface NotRun {
  readonly kind: "finished" | "held";
  readonly reason: string;
}

/** Lets a worker finish its tasks, which have a minute. */
const workerTimes = { interruptMs: 65_000, graceMs: 6_000 };

/** A worker, which has no session of its own. */
export function workerProgram(
  { run }: Pick<ProgramDeps, "run">,
  start: Pick<RunOptions, "command" | "args" | "cwd" | "env">,
): Program {
  return {
    whyNot: () => null,
    run: async ({ checkpoint, signal, onStart, onCheckpoint, onOutput }) => {
      onStart([start.command, ...start.args].join(" "), null);
      const exit = await run({ ...start, ...workerTimes, input: "", signal, onLine: onOutput, onStderr: onOutput });
      const hasRun = checkpoint["hasRun"] === true;
      if (exit.kind === "exited" && !hasRun) onCheckpoint({ hasRun: true });
      return restarter.endingOf(exit, signal.aborted, hasRun);
    },
  };
}

export interface ProgramDeps extends DeathDeps {
  readonly state: SupervisorState;
  readonly settings: Pick<SupervisorSettings, "restarts">;
  readonly run: typeof runProgram;
}

/** Keeps one program running; never two processes of it at a time. */
export class SupervisedProgram {
  readonly name: string;
  readonly #deps: ProgramDeps;
  readonly #program: Program;
  readonly #wake: () => void;
  readonly #now: () => number;
  readonly #stopController = new AbortController();
  #programState: ProgramState;
  #running: Promise<void> | null = null;
  #writeAgainAt: number | null = null;

  /** @param wake called after the end of a run */
  constructor(deps: ProgramDeps, name: string, watched: WatchedProgram, program: Program, wake: () => void) {
    this.name = name;
    this.#deps = deps;
    this.#program = program;
    this.#wake = wake;
    this.#now = deps.runtime.now;
    const stored = deps.state.stateFor(name, watched, this.#now());
    this.#programState = { ...stored, restarts: restarter.afterTakeover(stored.restarts, this.#now()) };
  }

  isSessionOf(session: string): boolean {
    return sessionsIn(this.#programState.checkpoint).includes(session);
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

  /** A program that waits by the rule for a usage limit is not started again. */
  stopRule(reason: string): void {
    const { phase, endedBy } = this.#programState.restarts;
    if (!this.#running && phase === "due" && endedBy === "limited") this.#recordEnd({ kind: "stopped", reason }, null);
  }

  #check(): void {
    const now = this.#now();
    if (this.#writeAgainAt !== null && now >= this.#writeAgainAt) this.#save({});
    if (this.#deps.state.takeRestartRequest(this.name) && !this.#running) {
      const { checkpoint, restarts } = this.#programState;
      // A program that ended well starts fresh; others continue their session.
      const next = restarts.phase === "finished" ? {} : { ...checkpoint, limit: null };
      this.#save({ restarts: restarter.afterRequest(now), checkpoint: next });
    }
    if (this.dueInMs() !== 0 || this.#stopController.signal.aborted) return;
    const notRun = this.#program.whyNot(this.#programState.checkpoint);
    if (notRun) return this.#noteNotRun(notRun);
    this.#running = this.#run()
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

  async #run(): Promise<void> {
    const { name } = this;
    const { emit } = this.#deps;
    // Saved first, so that a killed supervisor leaves no unknown program.
    const { restarts } = this.#programState;
    this.#save({ restarts: restarter.afterStart(restarts, this.#now()) });
    countRestart(this.#deps, restarts);
    const keep = (fields: Checkpoint): void => {
      this.#save({ checkpoint: { ...this.#programState.checkpoint, ...fields } });
    };
    const ending = await this.#program.run({
      checkpoint: this.#programState.checkpoint,
      signal: this.#stopController.signal,
      onStart: (how, session) => {
        if (session !== null) keep({ started: session });
        emit({ type: "started", name, how: redact(how).text, session });
      },
      onCheckpoint: keep,
      onOutput: (text) => emit({ type: "output", name, text: redact(text.trimEnd()).text }),
    });
    this.#recordEnd(ending, null);
  }

  #recordEnd(ending: ProgramEnding, endReason: string | null): void {
    const { settings, emit } = this.#deps;
    const now = this.#now();
    const previous = this.#programState.restarts;
    const restarts = restarter.afterEnd(previous, ending, now, settings.restarts);
    this.#save({ restarts });
    const event = toEndedEvent({ name: this.name, isProgram: true }, previous, restarts, now);
    emit({ ...event, reason: endReason ?? restarts.reason });
  }
}

export interface SupervisedClaudeOptions extends DeathDeps, AttemptOptions {
  readonly watched: WatchedClaude;
  /** Absolute working folder. */
  readonly folder: string;
}

const noBudget = { wallMs: null, tokens: null, costMicros: null };

/** Claude Code without a terminal; each session continues the one before. */
export function claudeProgram(options: SupervisedClaudeOptions): Program {
  return {
    whyNot: (checkpoint) => whyNotRun(options.runtime, checkpoint),
    run: async (context) => {
      const attempt = new ClientAttempt(options, workOf(options, context), { state: undefined, words: "" });
      return endingOf(await attempt.run());
    },
  };
}

function workOf(options: SupervisedClaudeOptions, context: RunContext): ClientWork {
  const { watched, folder, runtime } = options;
  const { program, args, env, prompt } = watched;
  return {
    ...context,
    folder,
    client: claudeCode,
    program,
    env,
    opening: null,
    variables: {},
    budgetLeft: noBudget,
    argsOf: (model) => (model ? withModel(args, model) : args),
    promptOf: (continuation) => promptFor(runtime, prompt, continuation),
    onStart: (session, how) => context.onStart(how, session),
    onEnd: (session) => recordDeath(options, session).then(() => undefined),
    onUsage: () => undefined,
    onProgress: () => undefined,
    onModel: () => undefined,
  };
}

function withModel(args: readonly string[], { model }: Model): string[] {
  const others = args.filter((arg, at) => !/^--model(=|$)/.test(arg) && args[at - 1] !== "--model");
  return [...others, "--model", model];
}

function promptFor(runtime: Runtime, prompt: string, continuation: Continuation): string {
  if (continuation.kind === "resume") return interruptedText;
  const brief = renderBrief(runtime, continuation);
  return brief === null ? prompt : `${prompt}\n\n${brief}`;
}

function endingOf(outcome: RunOutcome): ProgramEnding {
  switch (outcome.kind) {
    case "done":
      return { kind: "finished" };
    case "stopped":
      return { kind: "left" };
    case "over_budget":
      return { kind: "failed", reason: outcome.reason };
    case "waiting": {
      const { reason, delayMs, isByRule } = outcome;
      return isByRule ? { kind: "limited", waitMs: delayMs, reason } : { kind: "stopped", reason };
    }
    case "failed": {
      const { reason, isByUser, isRetryable } = outcome;
      if (isByUser) return { kind: "stopped" };
      return { kind: isRetryable && !restarter.areArgumentsRefused(reason) ? "crashed" : "failed", reason };
    }
  }
}

function whyNotRun(runtime: Runtime, checkpoint: Checkpoint): ReturnType<Program["whyNot"]> {
  const id = sessionToContinue(runtime, checkpoint);
  const found =
    id &&
    runtime.store.read((sql) => {
      const last = sessions.get(sql, id);
      return last && whyNotRestart(sql, runtime, last);
    }, null);
  return found ? { kind: found.isOver ? "finished" : "held", reason: found.why } : null;
}

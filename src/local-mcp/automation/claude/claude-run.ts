import type { Usage } from "../../../contract/budgets.ts";
import { redactAndClip } from "../../sessions/entries.ts";
import type { Outcome, Run } from "../executor.ts";
import { programEnv } from "../program-env.ts";
import { runProgram, type Ended } from "../run-program.ts";
import { argumentsFor } from "./arguments.ts";
import { briefOf, checkpointOf, type Continuation } from "./continuation.ts";
import { environmentFor } from "./environment.ts";
import { readEvent, type ClaudeEvent, type ResultEvent } from "./events.ts";
import { reached } from "./limits.ts";
import { isFull, isUnknownSession, outcomeOf, reasonOf } from "./outcome.ts";
import type { ClaudeExecutorOptions, Patience } from "./claude-executor.ts";
import { ownFiles } from "./own-files.ts";
import { promptFor } from "./prompt.ts";
import { UsageMeter } from "./usage-meter.ts";

/** SIGINT makes Claude Code tell its last event, with the cost; where it hangs, TERM follows, and KILL. */
const usualPatience: Patience = { interruptMs: 5_000, graceMs: 5_000 };
/** Time goes on while nothing is told. */
const tickMs = 250;
const fenceBytes = 8;
/** The last event repeats what was refused. */
const mostLineChars = 4_000_000;
const mostNoteChars = 400;
const mostShownChars = 2_000;
const mostComplaintChars = 4_000;

/** One process of Claude Code, from its start to its end. */
export class ClaudeRun {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: Run;
  readonly #next: Continuation;
  readonly #meter: UsageMeter;
  readonly #startedAt: number;
  readonly #limit = new AbortController();
  #session: string;
  #hasBegun = false;
  #problem: string | null = null;
  #resetsAtMs: number | null = null;
  /** Of the last turn; null: one goes on. What a tool does in the background may begin another. */
  #result: ResultEvent | null = null;
  #complaints = "";
  #unreadable = 0;

  constructor(options: ClaudeExecutorOptions, run: Run, next: Continuation) {
    this.#options = options;
    this.#run = run;
    this.#next = next;
    this.#session = next.session;
    this.#meter = new UsageMeter(options.settings.prices);
    this.#startedAt = options.monotonic();
  }

  /** @returns "unknown_session": the one to be resumed is not there, and nothing was done */
  async toEnd(): Promise<Outcome | "unknown_session"> {
    const timer = setInterval(() => this.#tell(), tickMs);
    let ended: Ended;
    try {
      ended = await this.#start();
    } finally {
      clearInterval(timer);
    }
    const stopped = this.#stopped();
    const usage = this.#tell();
    if (this.#unreadable > 0) this.#say(`${this.#unreadable} lines of Claude Code could not be read`);
    return stopped ?? this.#outcome(ended, usage);
  }

  #start(): Promise<Ended> {
    const { settings, runtime, launch, patience } = this.#options;
    const { folder, left, signal, task, merged } = this.#run;
    const home = runtime.paths.home;
    const fence = Buffer.from(runtime.random(fenceBytes)).toString("hex");
    const brief = this.#next.kind === "brief" ? briefOf(runtime, this.#next.from) : null;
    return runProgram({
      command: settings.program,
      args: argumentsFor(settings, ownFiles(home, launch), this.#next, left),
      cwd: folder,
      env: programEnv(environmentFor(runtime.env, settings.env, home), task),
      input: promptFor({ task, merged, next: this.#next, instruction: settings.instruction, brief, fence }),
      signal: AbortSignal.any([signal, this.#limit.signal]),
      ...(patience ?? usualPatience),
      mostLineChars,
      onLine: (line) => this.#hear(line),
      onComplaint: (text) => this.#complain(text),
    });
  }

  #hear(line: string): void {
    const event = readEvent(line);
    if (event === "unreadable") this.#unreadable += 1;
    if (event === null || event === "unreadable") return;
    this.#meter.read(event);
    this.#heed(event);
    this.#tell();
  }

  /** [CX12] Says what was used, and stops at a limit. */
  #tell(): Usage {
    const usage = this.#meter.usage(Math.round(this.#options.monotonic() - this.#startedAt));
    this.#run.onUsage(usage);
    const { left } = this.#run;
    // Between two turns only time is used.
    const limit = reached(usage, this.#result ? { wallMs: left.wallMs, tokens: null, costMicros: null } : left);
    if (limit !== null && !this.#limit.signal.aborted) this.#limit.abort(limit);
    return usage;
  }

  #heed(event: ClaudeEvent): void {
    switch (event.kind) {
      case "begun":
        return this.#begin(event);
      case "message":
        return this.#show(event);
      case "refused":
        return this.#say(`refused: ${event.tool}`);
      case "retrying":
        return this.#say(
          `the API is asked again in ${Math.ceil(event.delayMs / 1_000)} s (${event.problem}, ${event.attempt})`,
        );
      case "limited":
        this.#resetsAtMs = event.resetsAtMs;
        return;
      case "result":
        this.#result = event;
        return;
      case "counted":
    }
  }

  /** [CX4] From now on another attempt could go on in this session. */
  #begin({ session, model, permissionMode }: Extract<ClaudeEvent, { kind: "begun" }>): void {
    this.#result = null;
    this.#problem = null;
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#session = session;
    this.#run.onCheckpoint(checkpointOf(session, this.#run.folder));
    const how = { resume: "resumed", brief: "new, with the brief of the one before", new: "new" }[this.#next.kind];
    this.#say(`session ${session} (${how}), model ${model}, permissions: ${permissionMode}`);
  }

  #show({ isOwn, texts, tools, problem }: Extract<ClaudeEvent, { kind: "message" }>): void {
    if (problem !== null) this.#problem = problem;
    if (!isOwn) return;
    for (const text of texts.filter((said) => said.trim() !== "")) {
      this.#say(redactAndClip(text, mostShownChars));
      this.#run.onProgress({ note: redactAndClip(text, mostNoteChars).trim() });
    }
    for (const tool of tools) this.#say(`> ${tool}`);
  }

  #complain(text: string): void {
    this.#complaints = (this.#complaints + text).slice(-mostComplaintChars);
    this.#run.onOutput(redactAndClip(text, mostShownChars));
  }

  #say(text: string): void {
    this.#run.onOutput(`${text}\n`);
  }

  #outcome(ended: Ended, usage: Usage): Outcome | "unknown_session" {
    if (ended.kind === "not_started") return failed(`${this.#options.settings.program}: ${ended.message}`);
    if (!this.#result) return failed(`Claude Code ended with ${ended.code} and no result. ${this.#complaints}`);
    return this.#outcomeBy(this.#result, usage);
  }

  /** A result that was there before may be that of a turn which waited for something in the background. */
  #stopped(): Outcome | null {
    if (this.#run.signal.aborted) return { kind: "stopped" };
    const { signal } = this.#limit;
    return signal.aborted ? { kind: "over_budget", reason: String(signal.reason) } : null;
  }

  #outcomeBy(result: ResultEvent, { tokens, costMicros }: Usage): Outcome | "unknown_session" {
    if (this.#next.kind === "resume" && isUnknownSession(result)) return "unknown_session";
    if (isFull(result)) this.#run.onCheckpoint(checkpointOf(this.#session, this.#run.folder, true));
    return outcomeOf(result, {
      session: this.#session,
      problem: this.#problem,
      resetsAtMs: this.#resetsAtMs,
      now: this.#options.runtime.now(),
      facts: { tokens, costMicros, cost: this.#meter.isMeasured ? "measured" : "estimated" },
    });
  }
}

function failed(text: string): Outcome {
  return { kind: "failed", reason: reasonOf(text), isRetryable: true };
}

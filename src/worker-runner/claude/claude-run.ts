import type { Usage } from "../../contract/budgets.ts";
import type { Route } from "../../contract/routes.ts";
import { StallDetector } from "../../routing/stall-detector.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import type { RunOutcome, TaskRun } from "../executor.ts";
import { runProgram, type ProgramExit, programEnv } from "../run-program.ts";
import { renderBrief, toCheckpoint, type Continuation } from "../client/continuation.ts";
import { clientEnvironment } from "../client/environment.ts";
import {
  readEvent,
  syntheticModel,
  unknownModel,
  type ClaudeEvent,
  type ResultEvent,
} from "../client/claude-events.ts";
import { toReason } from "../client/answer.ts";
import { isFull, isMachineTrouble, isUnknownSession, outcomeOfResult } from "./result-outcome.ts";
import type { ClaudeExecutorOptions } from "./claude-executor.ts";
import { buildArguments, interruptLine, userMessage } from "./claude-command.ts";
import { writeClaudeFiles } from "./claude-files.ts";
import { buildPrompt, newFence } from "../client/prompt.ts";
import { defaultStopTimeouts } from "../client/stop-timeouts.ts";
import { LimitReader, type UsageLimit } from "./usage-limit.ts";
import { canEscalate, toRouteCheckpoint } from "./task-route.ts";
import { findReachedLimit } from "../client/reached-limit.ts";
import { UsageMeter } from "./usage-meter.ts";

const reportEveryMs = 250;
/** The last event repeats what was refused. */
const maxLineChars = 4_000_000;
const maxNoteChars = 400;
const maxOutputChars = 2_000;
const maxStderrChars = 4_000;

export type ClaudeOutcome =
  | RunOutcome
  | { readonly kind: "unknown_session" }
  /** [CX25] */
  | { readonly kind: "limited"; readonly limit: UsageLimit; readonly words: string; readonly session: string };

export class ClaudeRun {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: TaskRun;
  readonly #continuation: Continuation;
  readonly #meter: UsageMeter;
  readonly #startedAt: number;
  readonly #limit = new AbortController();
  readonly #route: Route | null;
  readonly #stalls = new StallDetector();
  /** Its reason is why the run is stalled. */
  readonly #stall = new AbortController();
  #session: string;
  /** Model that the client has named last; null: none yet. */
  #model: string | null = null;
  #hasStarted = false;
  #problem: string | null = null;
  readonly #limits = new LimitReader();
  /** Null during a turn; a tool in the background may start another turn. */
  #result: ResultEvent | null = null;
  #stderr = "";
  #unreadableLines = 0;

  constructor(options: ClaudeExecutorOptions, run: TaskRun, continuation: Continuation, route: Route | null) {
    this.#options = options;
    this.#run = run;
    this.#continuation = continuation;
    this.#route = route;
    this.#session = continuation.session;
    this.#meter = new UsageMeter(options.settings.prices);
    this.#startedAt = options.monotonic();
  }

  async run(): Promise<ClaudeOutcome> {
    const timer = setInterval(() => this.#reportUsage(), reportEveryMs);
    let exit: ProgramExit;
    try {
      exit = await this.#startProgram();
    } finally {
      clearInterval(timer);
    }
    const stopOutcome = this.#stopOutcome();
    const usage = this.#reportUsage();
    this.#run.onUsage(usage);
    if (this.#unreadableLines > 0) this.#writeOutput(`${this.#unreadableLines} lines of Claude Code could not be read`);
    return stopOutcome ?? this.#toOutcome(exit, usage);
  }

  #startProgram(): Promise<ProgramExit> {
    const { settings, runtime, launch, versionOf, stopTimeouts } = this.#options;
    const { folder, budgetLeft, signal, task, merged } = this.#run;
    const { home } = runtime.paths;
    const continuation = this.#continuation;
    const files = writeClaudeFiles(runtime, launch, versionOf(settings.program));
    const brief = continuation.kind === "brief" ? renderBrief(runtime, continuation.restoration) : null;
    return runProgram({
      command: settings.program,
      args: buildArguments(settings, this.#route, files, continuation, budgetLeft),
      cwd: folder,
      env: programEnv(clientEnvironment("claude-code", runtime.env, settings.env, home), task),
      input: userMessage(
        buildPrompt({ task, merged, continuation, instruction: settings.instruction, brief, fence: newFence(runtime) }),
      ),
      // A line that could not be read may have been the last event.
      dialog: { interruptLine, isOver: () => this.#result !== null || this.#unreadableLines > 0 },
      signal: AbortSignal.any([signal, this.#limit.signal, this.#stall.signal]),
      ...(stopTimeouts ?? defaultStopTimeouts),
      maxLineChars,
      onLine: (line) => this.#onLine(line),
      onStderr: (text) => {
        this.#stderr = (this.#stderr + text).slice(-maxStderrChars);
        this.#run.onOutput(redactAndClip(text, maxOutputChars));
      },
    });
  }

  #onLine(line: string): void {
    const event = readEvent(line);
    if (event === "unreadable") this.#unreadableLines += 1;
    if (event === null || event === "unreadable") return;
    this.#meter.read(event);
    this.#limits.read(event);
    this.#onEvent(event);
    this.#reportUsage();
  }

  /** [CX12] Stops the run at a limit, and reports what passed it only at the end, with the cost. */
  #reportUsage(): Usage {
    const usage = this.#meter.usage(Math.round(this.#options.monotonic() - this.#startedAt));
    const { budgetLeft } = this.#run;
    const { wallMs } = budgetLeft;
    const limit = findReachedLimit(usage, this.#result ? { wallMs, tokens: null, costMicros: null } : budgetLeft);
    if (limit !== null && !this.#limit.signal.aborted) this.#limit.abort(limit);
    if (!this.#limit.signal.aborted) this.#run.onUsage(usage);
    return usage;
  }

  #onEvent(event: ClaudeEvent): void {
    switch (event.kind) {
      case "begun":
        return this.#onStarted(event);
      case "message":
        return this.#onMessage(event);
      case "toolResults":
        return this.#onToolResults(event);
      case "refused":
        return this.#writeOutput(`refused: ${event.tool}`);
      case "retrying": {
        const seconds = Math.ceil(event.delayMs / 1_000);
        return this.#writeOutput(`the API request is retried in ${seconds} s (${event.problem}, ${event.attempt})`);
      }
      case "result":
        this.#result = event;
        return;
      case "limited":
      case "counted":
    }
  }

  #onToolResults({ results }: Extract<ClaudeEvent, { kind: "toolResults" }>): void {
    for (const { id, isError } of results) this.#onStall(this.#stalls.result(id, isError));
  }

  #onStarted({ session, model, permissionMode }: Extract<ClaudeEvent, { kind: "begun" }>): void {
    this.#result = null;
    this.#problem = null;
    this.#reportModel(model);
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    this.#session = session;
    this.#run.onCheckpoint(toCheckpoint(session, this.#run.folder));
    const startTexts = { resume: "resumed", brief: "new, with the brief of the previous one", new: "new" };
    this.#writeOutput(
      `session ${session} (${startTexts[this.#continuation.kind]}), model ${model}, permissions: ${permissionMode}`,
    );
  }

  /** [RT23] The client may change to another model on its own. */
  #reportModel(model: string): void {
    if (model === this.#model || model === unknownModel || model === syntheticModel) return;
    this.#model = model;
    const source = this.#route ? "router" : "default";
    this.#run.onModel?.({ model, effort: this.#route?.effort ?? null, source });
  }

  #onMessage({ isOwn, model, texts, tools, calls, problem }: Extract<ClaudeEvent, { kind: "message" }>): void {
    if (problem !== null) this.#problem = problem;
    if (!isOwn) return;
    this.#reportModel(model);
    for (const text of texts.filter((part) => part.trim() !== "")) {
      this.#writeOutput(redactAndClip(text, maxOutputChars));
      this.#run.onProgress({ note: redactAndClip(text, maxNoteChars).trim() });
    }
    for (const tool of tools) this.#writeOutput(`> ${tool}`);
    for (const call of calls) this.#onStall(this.#stalls.call(call));
  }

  /** [RT15] Stops the run only where another attempt with a higher tier follows. */
  #onStall(reason: string | null): void {
    const { signal } = this.#stall;
    if (reason === null || signal.aborted || !canEscalate(this.#options.settings, this.#run.task, this.#route)) return;
    this.#writeOutput(`stalled: ${reason}`);
    this.#stall.abort(reason);
  }

  /** [RT12] The end of this attempt says nothing of the model. */
  #discountRoute(): void {
    if (!this.#route) return;
    const route = { ...this.#route, isCounted: false };
    this.#run.onRoute(route);
    this.#run.onCheckpoint(toRouteCheckpoint(this.#run.task, route));
  }

  #writeOutput(text: string): void {
    this.#run.onOutput(`${text}\n`);
  }

  #toOutcome(exit: ProgramExit, usage: Usage): ClaudeOutcome {
    if (exit.kind === "not_started" || !this.#result) this.#discountRoute();
    if (exit.kind === "not_started") return failedOutcome(`${this.#options.settings.program}: ${exit.message}`);
    if (!this.#result) return failedOutcome(`Claude Code ended with ${exit.code} and no result. ${this.#stderr}`);
    return this.#outcomeOfResult(this.#result, usage);
  }

  /** The result may be of a turn that waited for a tool in the background. */
  #stopOutcome(): RunOutcome | null {
    if (this.#run.signal.aborted) return { kind: "stopped" };
    const { signal } = this.#limit;
    if (signal.aborted) return { kind: "over_budget", reason: String(signal.reason) };
    return this.#stall.signal.aborted ? failedOutcome(`stalled: ${String(this.#stall.signal.reason)}`) : null;
  }

  #outcomeOfResult(result: ResultEvent, { tokens, costMicros }: Usage): ClaudeOutcome {
    if (this.#continuation.kind === "resume" && isUnknownSession(result)) return { kind: "unknown_session" };
    if (isMachineTrouble(result, this.#problem)) this.#discountRoute();
    const limit = this.#limits.atEnd(result, this.#problem);
    if (limit) return { kind: "limited", limit, words: toReason(result.text), session: this.#session };
    if (isFull(result)) this.#run.onCheckpoint(toCheckpoint(this.#session, this.#run.folder, true));
    return outcomeOfResult(result, {
      session: this.#session,
      problem: this.#problem,
      facts: { tokens, costMicros, cost: this.#meter.isMeasured ? "measured" : "estimated" },
    });
  }
}

function failedOutcome(text: string): RunOutcome {
  return { kind: "failed", reason: toReason(text), isRetryable: true };
}

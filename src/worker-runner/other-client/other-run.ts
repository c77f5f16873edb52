import type { RemainingBudget, Usage } from "../../contract/budgets.ts";
import { sum, zeroUsage } from "../../contract/usage.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { toCheckpoint } from "../client/continuation.ts";
import { outcomeOfAnswer, toReason } from "../client/answer.ts";
import type { StopTimeouts } from "../client/stop-timeouts.ts";
import { findReachedLimit } from "../client/reached-limit.ts";
import type { RunOutcome, TaskRun } from "../executor.ts";
import { programEnv, runProgram, type ProgramExit } from "../run-program.ts";
import type { OutputEvent, OutputFormat } from "./output-event.ts";
import type { OtherCommand } from "./other-command.ts";

export interface OtherRunOptions {
  readonly title: string;
  readonly format: OutputFormat;
  readonly command: OtherCommand;
  readonly monotonic: () => number;
  readonly stopTimeouts: StopTimeouts;
  /** Usage of this attempt before this client began. */
  readonly usedBefore: Usage;
}

const reportEveryMs = 250;
const maxLineChars = 4_000_000;
const maxOutputChars = 2_000;
const maxNoteChars = 400;
const maxStderrChars = 4_000;

/** [CX30] One run of another client, which continues a task. */
export class OtherRun {
  readonly #options: OtherRunOptions;
  readonly #run: TaskRun;
  readonly #startedAt: number;
  readonly #limit = new AbortController();
  #session: string | null = null;
  #answer = "";
  #tokens = 0;
  #turns = 0;
  #end: Extract<OutputEvent, { kind: "ended" }> | null = null;
  #stderr = "";

  constructor(options: OtherRunOptions, run: TaskRun) {
    this.#options = options;
    this.#run = run;
    this.#startedAt = options.monotonic();
  }

  /** [CX32] @returns gave_up: the failure is not the task's */
  async run(): Promise<RunOutcome | { readonly kind: "gave_up"; readonly reason: string }> {
    const timer = setInterval(() => this.#reportUsage(), reportEveryMs);
    let exit: ProgramExit;
    try {
      exit = await this.#startProgram();
    } finally {
      clearInterval(timer);
    }
    const { tokens, costMicros } = this.#reportUsage();
    if (this.#run.signal.aborted) return { kind: "stopped" };
    const { signal } = this.#limit;
    if (signal.aborted) return { kind: "over_budget", reason: String(signal.reason) };
    const failure = this.#failure(exit);
    if (failure !== null) return { kind: "gave_up", reason: toReason(`${this.#options.title}: ${failure}`) };
    const facts = { client: this.#options.title, tokens, costMicros, cost: "unknown" };
    return outcomeOfAnswer(this.#answer, { session: this.#session, turns: this.#turns, refused: 0, ...facts });
  }

  #startProgram(): Promise<ProgramExit> {
    const { command, stopTimeouts } = this.#options;
    const { folder, signal, task, onOutput } = this.#run;
    return runProgram({
      ...command,
      cwd: folder,
      env: programEnv(command.env, task),
      signal: AbortSignal.any([signal, this.#limit.signal]),
      ...stopTimeouts,
      maxLineChars,
      onLine: (line) => {
        const event = parseObject(line);
        for (const one of event ? this.#options.format.read(event) : []) this.#onEvent(one);
      },
      onStderr: (text) => {
        this.#stderr = (this.#stderr + text).slice(-maxStderrChars);
        onOutput(redactAndClip(text, maxOutputChars));
      },
    });
  }

  #onEvent(event: OutputEvent): void {
    switch (event.kind) {
      case "begun":
        return this.#onBegun(event);
      case "text":
        return this.#onText(event);
      case "tool":
        this.#answer = "";
        return this.#run.onOutput(`> ${redactAndClip(event.text, maxOutputChars)}\n`);
      case "counted":
        this.#tokens = Math.max(this.#tokens, event.tokens);
        return;
      case "ended":
        this.#end = event;
        this.#turns += 1;
    }
  }

  #onBegun({ session, model }: Extract<OutputEvent, { kind: "begun" }>): void {
    const { title } = this.#options;
    this.#session = session;
    this.#run.onCheckpoint(toCheckpoint(session, this.#run.folder));
    this.#run.onModel?.({ model: model ?? title, effort: null, source: "default" });
    this.#run.onOutput(`session ${session} of ${title}, model ${model ?? "unknown"}\n`);
  }

  #onText({ text, isPart }: Extract<OutputEvent, { kind: "text" }>): void {
    this.#answer = isPart ? this.#answer + text : text;
    if (text.trim() === "") return;
    this.#run.onOutput(`${redactAndClip(text, maxOutputChars)}\n`);
    this.#run.onProgress({ note: redactAndClip(this.#answer, maxNoteChars).trim() });
  }

  #reportUsage(): Usage {
    const wallMs = Math.round(this.#options.monotonic() - this.#startedAt);
    const usage = sum(this.#options.usedBefore, { ...zeroUsage, wallMs, tokens: this.#tokens });
    this.#run.onUsage(usage);
    const limit = findReachedLimit(usage, this.#run.budgetLeft);
    if (limit !== null) this.#limit.abort(limit);
    return usage;
  }

  #failure(exit: ProgramExit): string | null {
    if (exit.kind === "not_started") return exit.message;
    if (this.#end?.failure) return this.#end.failure;
    if (this.#end === null || exit.code !== 0) return `it ended with ${exit.code} and no result. ${this.#stderr}`;
    return null;
  }
}

/** [CX31] @returns the limited measure that such a client does not report while it works */
export function unmeasuredLimit({ tokens, costMicros }: RemainingBudget): "tokens" | "cost" | null {
  if (costMicros !== null) return "cost";
  return tokens === null ? null : "tokens";
}

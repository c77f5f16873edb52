import type { Usage } from "../../contract/budgets.ts";
import type { Route } from "../../contract/routes.ts";
import { sum } from "../../contract/usage.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { StallDetector } from "../../routing/stall-detector.ts";
import type { TaskRun } from "../executor.ts";
import { programEnv, runProgram, type ProgramExit } from "../run-program.ts";
import type { ClientCommand } from "./command.ts";
import { toCheckpoint } from "./continuation.ts";
import type { ClientOutput, EndEvent, RunEvent } from "./run-events.ts";
import type { ClaudeSettings } from "./settings.ts";
import { findReachedLimit, UsageMeter, type UsageLimit } from "./usage.ts";

/** Times after the interrupt and after TERM. */
export interface StopTimeouts {
  readonly interruptMs: number;
  readonly graceMs: number;
}

/** An interrupted client reports its last event, with the usage. */
export const defaultStopTimeouts: StopTimeouts = { interruptMs: 5_000, graceMs: 5_000 };

/** The last event repeats what was refused. */
export const maxLineChars = 4_000_000;
const reportEveryMs = 250;
const maxNoteChars = 400;
const maxOutputChars = 2_000;
const maxStderrChars = 4_000;

/** How far one run of a client has come, by its events. */
export class RunState {
  readonly #output: ClientOutput;
  /** The first that has begun. */
  session: string | null = null;
  /** Null during a turn; a tool in the background may start another turn. */
  end: EndEvent | null = null;
  /** The client's own word for the last error of the API. */
  problem: string | null = null;
  /** A limit that the run got past is none. */
  limit: UsageLimit | null = null;
  /** The text after the last tool call. */
  lastText = "";
  unreadableLines = 0;

  constructor(output: ClientOutput) {
    this.#output = output;
  }

  read(line: string): readonly RunEvent[] {
    const events = this.#output.read(line);
    if (events === null) this.unreadableLines += 1;
    for (const event of events ?? []) this.#follow(event);
    return events ?? [];
  }

  #follow(event: RunEvent): void {
    const { kind } = event;
    if (kind === "begun") {
      this.session ??= event.session;
      this.end = null;
      this.problem = null;
    } else if (kind === "response") {
      if (event.problem !== null) this.problem = event.problem;
      this.limit = event.problem === "rate_limit" ? (this.limit ?? { resetsAtMs: null }) : null;
    } else if (kind === "limited") this.limit = { resetsAtMs: event.resetsAtMs };
    else if (kind === "ended") this.end = event;
    else if (kind === "tool") this.lastText = "";
    else if (kind === "text") this.lastText = event.isPart ? this.lastText + event.text : event.text;
  }
}

export interface ClientRunOptions {
  readonly title: string;
  readonly output: ClientOutput;
  readonly command: ClientCommand;
  /** Says how the session begins; null: not known. */
  readonly start: string | null;
  readonly route: Route | null;
  /** Another attempt with a higher tier would follow a stalled run. */
  readonly canEscalate: boolean;
  readonly prices: ClaudeSettings["prices"];
  readonly monotonic: () => number;
  readonly stopTimeouts: StopTimeouts;
  /** Usage of this attempt before this client began. */
  readonly usedBefore: Usage;
}

/** How a run has come to its end. */
export interface ClientEnd {
  readonly exit: ProgramExit;
  /** Why SHIM has stopped it; null: it ended by itself. */
  readonly stop: { readonly kind: "stopped" | "over_budget" | "stalled"; readonly reason: string } | null;
  readonly state: RunState;
  readonly stderr: string;
  readonly usage: Usage;
  readonly isCostMeasured: boolean;
}

/** [CX30] One run of a client that does a task. */
export class ClientRun {
  readonly #options: ClientRunOptions;
  readonly #run: TaskRun;
  readonly #state: RunState;
  readonly #meter: UsageMeter;
  readonly #startedAt: number;
  /** Their reasons are texts. */
  readonly #limit = new AbortController();
  readonly #stall = new AbortController();
  readonly #stalls = new StallDetector();
  #model: string | null = null;
  #hasBegun = false;
  #stderr = "";

  constructor(options: ClientRunOptions, run: TaskRun) {
    this.#options = options;
    this.#run = run;
    this.#state = new RunState(options.output);
    this.#meter = new UsageMeter(options.prices);
    this.#startedAt = options.monotonic();
  }

  async run(): Promise<ClientEnd> {
    const { title } = this.#options;
    const timer = setInterval(() => this.#reportUsage(), reportEveryMs);
    let exit: ProgramExit;
    try {
      exit = await this.#startProgram();
    } finally {
      clearInterval(timer);
    }
    const stop = this.#stopReason();
    const usage = this.#reportUsage();
    this.#run.onUsage(usage);
    const state = this.#state;
    if (state.unreadableLines > 0) this.#write(`${state.unreadableLines} lines of ${title} could not be read`);
    return { exit, stop, state, stderr: this.#stderr, usage, isCostMeasured: this.#meter.isMeasured };
  }

  #startProgram(): Promise<ProgramExit> {
    const { interruptLine, ...command } = this.#options.command;
    const { folder, signal, task, onOutput } = this.#run;
    // A line that could not be read may have been the last event.
    const isOver = (): boolean => this.#state.end !== null || this.#state.unreadableLines > 0;
    return runProgram({
      ...command,
      cwd: folder,
      env: programEnv(command.env, task),
      ...(interruptLine === undefined ? {} : { dialog: { interruptLine, isOver } }),
      signal: AbortSignal.any([signal, this.#limit.signal, this.#stall.signal]),
      ...this.#options.stopTimeouts,
      maxLineChars,
      onLine: (line) => {
        for (const event of this.#state.read(line)) this.#onEvent(event);
        this.#reportUsage();
      },
      onStderr: (text) => {
        this.#stderr = (this.#stderr + text).slice(-maxStderrChars);
        onOutput(redactAndClip(text, maxOutputChars));
      },
    });
  }

  /** [CX12] Stops the run at a limit, and reports what passed it only at the end, with the cost. */
  #reportUsage(): Usage {
    const { monotonic, usedBefore } = this.#options;
    const { budgetLeft } = this.#run;
    const usage = sum(usedBefore, this.#meter.usage(Math.round(monotonic() - this.#startedAt)));
    const left = this.#state.end ? { ...budgetLeft, tokens: null, costMicros: null } : budgetLeft;
    const limit = findReachedLimit(usage, left);
    if (limit !== null && !this.#limit.signal.aborted) this.#limit.abort(limit);
    if (!this.#limit.signal.aborted) this.#run.onUsage(usage);
    return usage;
  }

  #onEvent(event: RunEvent): void {
    this.#meter.read(event);
    switch (event.kind) {
      case "begun":
        return this.#onBegun(event);
      case "response":
        if (event.isOwn) this.#reportModel(event.model);
        return;
      case "text":
        return this.#onText(event);
      case "tool":
        this.#write(redactAndClip(`> ${event.text}`, maxOutputChars));
        return this.#onStall(event.call && this.#stalls.call(event.call));
      case "toolResult":
        return this.#onStall(this.#stalls.result(event.id, event.isError));
      case "note":
        return this.#write(event.text);
      case "counted":
      case "limited":
      case "ended":
    }
  }

  #onBegun({ session, model, permissions }: Extract<RunEvent, { kind: "begun" }>): void {
    const { title, start } = this.#options;
    // Codex names none.
    this.#reportModel(model ?? (start === null ? title : null));
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#run.onCheckpoint(toCheckpoint(session, this.#run.folder));
    const how = start === null ? `of ${title}` : `(${start})`;
    const permissionText = permissions === null ? "" : `, permissions: ${permissions}`;
    this.#write(`session ${session} ${how}, model ${model ?? "unknown"}${permissionText}`);
  }

  /** [RT23] The client may change to another model on its own. */
  #reportModel(model: string | null): void {
    if (model === null || model === this.#model) return;
    this.#model = model;
    const { route } = this.#options;
    this.#run.onModel({ model, effort: route?.effort ?? null, source: route ? "router" : "default" });
  }

  #onText({ text }: Extract<RunEvent, { kind: "text" }>): void {
    if (text.trim() === "") return;
    this.#write(redactAndClip(text, maxOutputChars));
    this.#run.onProgress({ note: redactAndClip(this.#state.lastText, maxNoteChars).trim() });
  }

  /** [RT15] */
  #onStall(reason: string | null): void {
    const { signal } = this.#stall;
    if (reason === null || signal.aborted || !this.#options.canEscalate) return;
    this.#write(`stalled: ${reason}`);
    this.#stall.abort(reason);
  }

  /** The last event may be of a turn that waited for a tool in the background: it counts less. */
  #stopReason(): ClientEnd["stop"] {
    if (this.#run.signal.aborted) return { kind: "stopped", reason: "" };
    if (this.#limit.signal.aborted) return { kind: "over_budget", reason: String(this.#limit.signal.reason) };
    return this.#stall.signal.aborted ? { kind: "stalled", reason: String(this.#stall.signal.reason) } : null;
  }

  #write(text: string): void {
    this.#run.onOutput(`${text}\n`);
  }
}

import type { EndEvent, Problem, RunEvent, RunOutput } from "../../../clients/adapter/run-output.ts";
import { combine, noTokens, totalTokens, type TokenCounts } from "../../../clients/transcript/token-counts.ts";
import type { UsageLimit } from "../../../contract/config.ts";
import { type RemainingBudget, type Usage, sum } from "../../../contract/budgets.ts";
import type { Route } from "../../../contract/model-routes.ts";
import { describeInput } from "../../../machine/sessions/hook-entries.ts";
import { programEnv, type runProgram, type Program, type ProgramExit } from "../../../platform/run-program.ts";
import { redactAndClip } from "../../../redaction/redact.ts";
import type { ClientDeps } from "../machine-deps.ts";
import type { ClientCommand } from "./command.ts";
import { toCheckpoint, type ClientWork } from "./continuation.ts";

/**
 * A response counts once; the sum of the last event replaces the count. The cost is 0 until
 * the client reports it. Never decreases.
 */
class UsageMeter {
  readonly #responses = new Map<string, TokenCounts>();
  /** Response that is still arriving, by caller. */
  readonly #openResponses = new Map<string, string>();
  #measured = { tokens: 0, costUsd: 0 };
  #counted = 0;
  #tokens = 0;
  #costMicros = 0;
  isMeasured = false;

  read(event: RunEvent): void {
    if (event.kind === "response") this.#count(event.id, event.counts);
    else if (event.kind === "counted") {
      const { parent, id, counts } = event;
      if (id !== null) this.#openResponses.set(parent, id);
      const openResponse = this.#openResponses.get(parent);
      if (openResponse !== undefined) this.#count(openResponse, counts);
    } else if (event.kind === "ended") this.#measure(event);
  }

  usage(wallMs: number): Usage {
    return { wallMs, tokens: this.#tokens, costMicros: this.#costMicros };
  }

  #count(id: string, newCounts: TokenCounts): void {
    const before = this.#responses.get(id) ?? noTokens;
    const counts = combine(before, newCounts, Math.max);
    this.#responses.set(id, counts);
    this.#counted += totalTokens(counts) - totalTokens(before);
    this.#tokens = Math.max(this.#tokens, this.#counted);
  }

  #measure({ tokens, costUsd, isPart }: EndEvent): void {
    const before = isPart ? this.#measured : { tokens: 0, costUsd: 0 };
    this.#measured = { tokens: before.tokens + (tokens ?? 0), costUsd: before.costUsd + (costUsd ?? 0) };
    this.#tokens = Math.max(this.#tokens, this.#measured.tokens);
    this.#costMicros = Math.max(this.#costMicros, Math.round(this.#measured.costUsd * 1_000_000));
    this.isMeasured ||= costUsd !== null;
  }
}

const limitNames: Readonly<Record<keyof RemainingBudget, string>> = {
  wallMs: "ms of time",
  tokens: "tokens",
  costMicros: "millionths of a dollar",
};

export function findReachedLimit(usage: Usage, budgetLeft: RemainingBudget): string | null {
  for (const key of ["tokens", "costMicros", "wallMs"] as const) {
    const limit = budgetLeft[key];
    if (limit !== null && usage[key] >= limit) return `${usage[key]} of ${limit} ${limitNames[key]} were used`;
  }
  return null;
}

/** Times after the interrupt and after TERM. */
export type StopTimeouts = Required<Pick<Program, "interruptMs" | "graceMs">>;

/** An interrupted client reports its last event, with the usage. */
const defaultStopTimeouts: StopTimeouts = { interruptMs: 5_000, graceMs: 5_000 };

/** The last event repeats what was refused. */
const maxLineChars = 4_000_000;
const reportEveryMs = 250;
const maxNoteChars = 400;
const maxOutputChars = 2_000;
const maxStderrChars = 4_000;

/** How far one run of a client has come, by its events. */
class RunState {
  readonly #output: RunOutput;
  /** The first that has begun. */
  session: string | null = null;
  /** Null during a turn; a tool in the background may start another turn. */
  end: EndEvent | null = null;
  /** The client's own word for the last error of the API. */
  problem: Problem | null = null;
  /** A limit that the run got past is none. */
  limit: UsageLimit | null = null;
  /** The model has answered a request. */
  hasWorked = false;
  /** The text after the last tool call. */
  lastText = "";
  unreadableLines = 0;

  constructor(output: RunOutput) {
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
      else this.hasWorked = true;
      if (event.problem === null) this.limit = null;
    } else if (kind === "limited") this.limit = { resetsAtMs: event.resetsAtMs ?? this.limit?.resetsAtMs ?? null };
    else if (kind === "ended") this.end = event;
    else if (kind === "tool") this.lastText = "";
    else if (kind === "text") this.lastText = event.isPart ? this.lastText + event.text : event.text;
  }
}

/** How clients are run here. */
export interface RunDeps extends Pick<ClientDeps, "monotonic"> {
  readonly run: typeof runProgram;
  readonly stopTimeouts?: StopTimeouts;
}

export interface ClientRunOptions extends RunDeps {
  readonly title: string;
  readonly output: RunOutput;
  readonly command: ClientCommand;
  /** Says how the session begins; null: not known. */
  readonly start: string | null;
  readonly route: Route | null;
  /** Usage of this attempt before this client began. */
  readonly usedBefore: Usage;
  /** Why the rule for usage limits ends it; null: not. `session` null: none has begun. */
  readonly whyStop?: (session: string | null) => string | null;
}

interface Stop {
  readonly kind: "stopped" | "over_budget" | "rule";
  readonly reason: string;
}

/** How a run has come to its end. */
export interface ClientEnd {
  readonly exit: ProgramExit;
  /** Why SHIM has stopped it; null: it ended by itself. */
  readonly stop: Stop | null;
  readonly state: RunState;
  readonly stderr: string;
  readonly usage: Usage;
  readonly isCostMeasured: boolean;
}

/** One run of a client. */
export class ClientRun {
  readonly #options: ClientRunOptions;
  readonly #work: ClientWork;
  readonly #state: RunState;
  readonly #meter = new UsageMeter();
  readonly #startedAt: number;
  /** Its reason is a `Stop`; the first counts. */
  readonly #stop = new AbortController();
  #model: string | null = null;
  #hasBegun = false;
  #stderr = "";

  constructor(options: ClientRunOptions, work: ClientWork) {
    this.#options = options;
    this.#work = work;
    this.#state = new RunState(options.output);
    this.#startedAt = options.monotonic();
  }

  async run(): Promise<ClientEnd> {
    const { title } = this.#options;
    const timer = setInterval(() => {
      this.#reportUsage();
      this.#askRule();
    }, reportEveryMs);
    let exit: ProgramExit;
    try {
      exit = await this.#startProgram();
    } finally {
      clearInterval(timer);
    }
    // The last event may be of a turn that waited for a tool in the background: it counts less.
    const stop = this.#work.signal.aborted ? ({ kind: "stopped", reason: "" } as const) : this.#stopped;
    const usage = this.#reportUsage();
    this.#work.onUsage(usage);
    const state = this.#state;
    if (state.unreadableLines > 0) this.#write(`${state.unreadableLines} lines of ${title} could not be read`);
    return { exit, stop, state, stderr: this.#stderr, usage, isCostMeasured: this.#meter.isMeasured };
  }

  #startProgram(): Promise<ProgramExit> {
    const { command, run, stopTimeouts = defaultStopTimeouts } = this.#options;
    const { interruptLine, ...program } = command;
    const { folder, signal, variables, onOutput } = this.#work;
    // A line that could not be read may have been the last event.
    const isOver = (): boolean => this.#state.end !== null || this.#state.unreadableLines > 0;
    return run({
      ...program,
      cwd: folder,
      env: programEnv(program.env, variables),
      ...(interruptLine === undefined ? {} : { dialog: { interruptLine, isOver } }),
      signal: AbortSignal.any([signal, this.#stop.signal]),
      ...stopTimeouts,
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

  /** Stops the run at a limit, and reports what passed it only at the end, with the cost. */
  #reportUsage(): Usage {
    const { monotonic, usedBefore } = this.#options;
    const { budgetLeft } = this.#work;
    const usage = sum(usedBefore, this.#meter.usage(Math.round(monotonic() - this.#startedAt)));
    const left = this.#state.end ? { ...budgetLeft, tokens: null, costMicros: null } : budgetLeft;
    const limit = findReachedLimit(usage, left);
    if (limit !== null) this.#stop.abort({ kind: "over_budget", reason: limit } satisfies Stop);
    if (this.#stopped?.kind !== "over_budget") this.#work.onUsage(usage);
    return usage;
  }

  #askRule(): void {
    const reason = this.#stopped ? null : (this.#options.whyStop?.(this.#state.session) ?? null);
    if (reason !== null) this.#stop.abort({ kind: "rule", reason } satisfies Stop);
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
        return this.#onTool(event);
      case "note":
        return this.#write(event.text);
      case "counted":
      case "limited":
      case "ended":
    }
  }

  #onTool({ name, input }: Extract<RunEvent, { kind: "tool" }>): void {
    this.#write(redactAndClip(`> ${name} ${describeInput(input)}`, maxOutputChars));
  }

  #onBegun({ session, model, permissions }: Extract<RunEvent, { kind: "begun" }>): void {
    const { title, start } = this.#options;
    // Some clients name none.
    this.#reportModel(model ?? (start === null ? title : null));
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#work.onCheckpoint(toCheckpoint(session, this.#work.folder));
    const how = start === null ? `of ${title}` : `(${start})`;
    const permissionText = permissions === null ? "" : `, permissions: ${permissions}`;
    this.#write(`session ${session} ${how}, model ${model ?? "unknown"}${permissionText}`);
  }

  /** The client may change to another model on its own. */
  #reportModel(model: string | null): void {
    if (model === null || model === this.#model) return;
    this.#model = model;
    const { route } = this.#options;
    this.#work.onModel({ model, effort: route?.effort ?? null, source: route ? "router" : "default" });
  }

  #onText({ text }: Extract<RunEvent, { kind: "text" }>): void {
    if (text.trim() === "") return;
    this.#write(redactAndClip(text, maxOutputChars));
    this.#work.onProgress({ note: redactAndClip(this.#state.lastText, maxNoteChars).trim() });
  }

  get #stopped(): Stop | null {
    const { signal } = this.#stop;
    return signal.aborted ? (signal.reason as Stop) : null;
  }

  #write(text: string): void {
    this.#work.onOutput(`${text}\n`);
  }
}

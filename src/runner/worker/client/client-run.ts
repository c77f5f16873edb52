import type { Usage, RemainingBudget } from "../../../contract/budgets.ts";
import type { Route } from "../../../contract/model-routes.ts";
import { sum } from "../../../contract/usage.ts";
import { redactAndClip } from "../../../redaction/bounded-text.ts";
import { StallDetector } from "../../../learning/routing/stall-detector.ts";
import type { TaskRun, RunOutcome } from "../executor.ts";
import {
  isUserSignal,
  programEnv,
  type runProgram,
  type Program,
  type ProgramExit,
} from "../../../platform/run-program.ts";
import type { ClientCommand } from "./command.ts";
import { type Continuation, toCheckpoint } from "./continuation.ts";
import { type ClientOutput, type EndEvent, type RunEvent, totalTokens } from "./run-events.ts";
import type { Json } from "../../../contract/json.ts";
import type { UsageLimit } from "../../../contract/at-limit.ts";
import { redactJson } from "../../../redaction/redact.ts";
import { parseObject, textAt } from "../../../shared/json-fields.ts";
import type { TokenCounts } from "../../../machine/usage/ledger.ts";

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
  readonly #output: ClientOutput;
  /** The first that has begun. */
  session: string | null = null;
  /** Null during a turn; a tool in the background may start another turn. */
  end: EndEvent | null = null;
  /** The client's own word for the last error of the API. */
  problem: string | null = null;
  /** A limit that the run got past is none. */
  limit: UsageLimit | null = null;
  /** The model has answered a request. */
  hasWorked = false;
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
      else this.hasWorked = true;
      if (event.problem === null) this.limit = null;
    } else if (kind === "limited") this.limit = { resetsAtMs: event.resetsAtMs ?? this.limit?.resetsAtMs ?? null };
    else if (kind === "ended") this.end = event;
    else if (kind === "tool") this.lastText = "";
    else if (kind === "text") this.lastText = event.isPart ? this.lastText + event.text : event.text;
  }
}

/** Model of Claude Code, where it is not the one of the settings. */
export type Model = Pick<Route, "model" | "effort">;

/** Work of a client, and where the news of it goes. */
export interface ClientWork extends Pick<
  TaskRun,
  "folder" | "signal" | "budgetLeft" | "onUsage" | "onProgress" | "onCheckpoint" | "onOutput" | "onModel"
> {
  /** Checkpoint of the run before. */
  readonly checkpoint: Json;
  /** Beginning of a session that it may continue; null: of each that the checkpoint names. */
  readonly opening: string | null;
  /** Claude Code. */
  readonly program: string;
  /** Names of further variables of the environment that a client gets. */
  readonly env: readonly string[];
  /** Variables and their values that it gets besides. */
  readonly variables: Readonly<Record<string, string>>;
  /** @param model null: the usual one */
  readonly argsOf: (model: Model | null) => readonly string[];
  readonly promptOf: (continuation: Continuation) => string;
  /** A session is about to begin. */
  readonly onStart?: (session: string, how: string) => void;
  readonly onEnd?: (session: string) => Promise<void>;
}

/** How clients are run here. */
export interface RunDeps {
  /** Clock in ms that stops while the machine sleeps, and never jumps. */
  readonly monotonic: () => number;
  readonly run: typeof runProgram;
  readonly stopTimeouts?: StopTimeouts;
}

export interface ClientRunOptions extends RunDeps {
  readonly title: string;
  readonly output: ClientOutput;
  readonly command: ClientCommand;
  /** Says how the session begins; null: not known. */
  readonly start: string | null;
  readonly route: Route | null;
  /** Another attempt with a higher tier would follow a stalled run. */
  readonly canEscalate: boolean;
  /** Usage of this attempt before this client began. */
  readonly usedBefore: Usage;
  /** Why the rule for usage limits ends it; null: not. `session` null: none has begun. */
  readonly whyStop?: (session: string | null) => string | null;
}

/** How a run has come to its end. */
export interface ClientEnd {
  readonly exit: ProgramExit;
  /** Why SHIM has stopped it; null: it ended by itself. */
  readonly stop: { readonly kind: "stopped" | "over_budget" | "stalled" | "rule"; readonly reason: string } | null;
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
  /** Their reasons are texts. */
  readonly #limit = new AbortController();
  readonly #stall = new AbortController();
  readonly #rule = new AbortController();
  readonly #stalls = new StallDetector();
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
    const stop = this.#stopReason();
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
      signal: AbortSignal.any([signal, this.#limit.signal, this.#stall.signal, this.#rule.signal]),
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
    if (limit !== null && !this.#limit.signal.aborted) this.#limit.abort(limit);
    if (!this.#limit.signal.aborted) this.#work.onUsage(usage);
    return usage;
  }

  #askRule(): void {
    const why = this.#rule.signal.aborted ? null : (this.#options.whyStop?.(this.#state.session) ?? null);
    if (why !== null) this.#rule.abort(why);
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

  #onStall(reason: string | null): void {
    const { signal } = this.#stall;
    if (reason === null || signal.aborted || !this.#options.canEscalate) return;
    this.#write(`stalled: ${reason}`);
    this.#stall.abort(reason);
  }

  /** The last event may be of a turn that waited for a tool in the background: it counts less. */
  #stopReason(): ClientEnd["stop"] {
    if (this.#work.signal.aborted) return { kind: "stopped", reason: "" };
    if (this.#limit.signal.aborted) return { kind: "over_budget", reason: String(this.#limit.signal.reason) };
    if (this.#rule.signal.aborted) return { kind: "rule", reason: String(this.#rule.signal.reason) };
    return this.#stall.signal.aborted ? { kind: "stalled", reason: String(this.#stall.signal.reason) } : null;
  }

  #write(text: string): void {
    this.#work.onOutput(`${text}\n`);
  }
}

/** Pure: what the end of a client's run means for its task. */

const maxTextChars = 100_000;
const maxReasonChars = 400;

/** Another machine may do better, or this one a little later. */
const machineProblems: ReadonlySet<string> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "cloud_credential_error",
  "model_not_found",
]);
const machineRetryMs = 60_000;
const serviceProblems: ReadonlySet<string> = new Set(["rate_limit", "server_error", "overloaded", "unknown"]);

/** Meaning of the end of a run. */
export type Judged =
  | RunOutcome
  /** The session to resume does not exist. */
  | { readonly kind: "unknown_session"; readonly reason: string }
  /** `words`: the client's own. */
  | { readonly kind: "limited"; readonly limit: UsageLimit; readonly words: string }
  /** The rule for usage limits has ended it. */
  | { readonly kind: "rule"; readonly reason: string }
  /** Another client has failed, which is not the fault of its work. */
  | { readonly kind: "client_failed"; readonly reason: string };

/** Limits that the settings name: another run would end the same way. */
const userLimits: ReadonlySet<string> = new Set(["error_max_turns", "error_max_budget_usd"]);

/** Judges the end of a run of Claude Code. */
export function judgeClaude({ exit, stop, state, stderr, ...run }: ClientEnd, { program }: ClientWork): Judged {
  if (stop) return outcomeOfStop(stop);
  const { end, problem, limit } = state;
  if (exit.kind === "not_started") return failure(`${program}: ${exit.message}`);
  if (!end) return { ...failure(`Claude Code ended with ${exit.code} and no result. ${stderr}`), ...byUser(exit, end) };
  if (userLimits.has(end.subtype)) return { kind: "over_budget", reason: toReason(end.text || end.subtype) };
  if (!end.isError) return outcomeOfClaude(end, state, run);
  if (limit && !isFull(end)) return { kind: "limited", limit, words: toReason(end.text) };
  const failed = { ...failure(end.text || `Claude Code ended with ${end.subtype}`), ...byUser(exit, end) };
  const isUnknown = end.subtype === "error_during_execution" && end.turns === 0 && !failed.isByUser;
  if (isUnknown) return { kind: "unknown_session", reason: failed.reason };
  return { ...failed, ...retryOf(problem, end) };
}

function retryOf(problem: string | null, end: EndEvent): { readonly isRetryable: boolean; readonly delayMs?: number } {
  const isRetryable = isFull(end) || problem !== "invalid_request";
  const isOfMachine = problem !== null && machineProblems.has(problem);
  return { isRetryable, ...(isOfMachine ? { delayMs: machineRetryMs } : {}) };
}

function outcomeOfStop({ kind, reason }: NonNullable<ClientEnd["stop"]>): Judged {
  if (kind === "stalled") return failure(`stalled: ${reason}`);
  return kind === "stopped" ? { kind } : { kind, reason };
}

/** At SIGINT Claude Code ends with exit code 0, and this reason. */
function byUser(exit: ProgramExit, end: EndEvent | null): { readonly isByUser?: true } {
  return isUserSignal(exit) || end?.terminalReason?.startsWith("aborted_") === true ? { isByUser: true } : {};
}

/** Claude Code reached no usage limit. */
function outcomeOfClaude(
  { text, turns, refused }: EndEvent,
  { session }: RunState,
  { usage, isCostMeasured }: Pick<ClientEnd, "usage" | "isCostMeasured">,
): RunOutcome {
  const { tokens, costMicros } = usage;
  const cost = isCostMeasured ? "measured" : "unknown";
  return outcomeOfAnswer(text, { session, turns, refused, tokens, costMicros, cost });
}

/** Judges the end of a run of another client. */
export function judgeOther({ exit, stop, state, stderr, usage }: ClientEnd, title: string): Judged {
  if (stop) return outcomeOfStop(stop);
  const { end, session, lastText } = state;
  const failed = (why: string): Judged => ({ kind: "client_failed", reason: toReason(`${title}: ${why}`) });
  if (exit.kind === "not_started") return failed(exit.message);
  if (end?.isError) return failed(end.text);
  if (!end || exit.code !== 0) return failed(`it ended with ${exit.code} and no result. ${stderr}`);
  const { tokens, costMicros } = usage;
  const facts = { session, turns: end.turns, refused: 0, client: title, tokens, costMicros, cost: "unknown" };
  return outcomeOfAnswer(lastText, facts);
}

function failure(text: string): Extract<RunOutcome, { kind: "failed" }> {
  return { kind: "failed", reason: toReason(text), isRetryable: true };
}

/** The account, the service, the network or the program failed, not the model. */
export function isMachineTrouble({ exit, state: { end, problem } }: ClientEnd): boolean {
  if (exit.kind === "not_started" || !end) return true;
  if (!end.isError || isFull(end) || problem === null || problem === "model_not_found") return false;
  return machineProblems.has(problem) || serviceProblems.has(problem);
}

export function isFull({ terminalReason }: EndEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** Reads the last line if it has one of the two forms that the prompt names. */
function outcomeOfAnswer(text: string, facts: Readonly<Record<string, Json>>): RunOutcome {
  const lines = text.split("\n").map((line) => line.trim());
  // Models like to put JSON into a code block.
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  const statement = lastLine.startsWith("{") ? parseObject(lastLine) : null;
  if (statement?.["shim"] === "failed") {
    const reason = textAt(statement, "reason") ?? "it reported a failure without a reason";
    return { ...failure(reason), isRetryable: statement["isRetryable"] === true };
  }
  const hasValue = statement?.["shim"] === "done" && "result" in statement;
  const value = hasValue ? { value: redactJson(statement["result"]).value as Json } : {};
  const bounded = redactAndClip(text, maxTextChars);
  // A character may take six in JSON; a result has room for two and a half times as many.
  const isFitting = JSON.stringify(bounded).length <= 2 * maxTextChars;
  const fitting = isFitting ? bounded : redactAndClip(text, maxTextChars / 6);
  return { kind: "done", result: { text: fitting, ...value, ...facts } };
}

function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}

const noTokens: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

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
    const larger = (name: keyof TokenCounts): number => Math.max(before[name], newCounts[name]);
    const [input, output] = [larger("input"), larger("output")];
    const counts = { input, output, cacheRead: larger("cacheRead"), cacheWrite: larger("cacheWrite") };
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

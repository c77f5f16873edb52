import type { Usage, RemainingBudget } from "../../contract/budgets.ts";
import type { Route } from "../../contract/routes.ts";
import { sum } from "../../contract/usage.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { StallDetector } from "../../routing/stall-detector.ts";
import type { TaskRun, RunOutcome } from "../executor.ts";
import { programEnv, runProgram, type Program, type ProgramExit } from "../run-program.ts";
import type { ClientCommand } from "./command.ts";
import { toCheckpoint } from "./continuation.ts";
import { type ClientOutput, type EndEvent, type RunEvent, totalTokens } from "./run-events.ts";
import type { ClaudeSettings } from "./settings.ts";
import type { Json } from "../../contract/json.ts";
import type { UsageLimit } from "../../contract/at-limit.ts";
import { redactJson } from "../../redaction/redact.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import type { TokenCounts } from "../../local-mcp/usage/ledger.ts";

/** Times after the interrupt and after TERM. */
export type StopTimeouts = Required<Pick<Program, "interruptMs" | "graceMs">>;

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
  readonly #rule = new AbortController();
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
      signal: AbortSignal.any([signal, this.#limit.signal, this.#stall.signal, this.#rule.signal]),
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
    if (this.#rule.signal.aborted) return { kind: "rule", reason: String(this.#rule.signal.reason) };
    return this.#stall.signal.aborted ? { kind: "stalled", reason: String(this.#stall.signal.reason) } : null;
  }

  #write(text: string): void {
    this.#run.onOutput(`${text}\n`);
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

/** Outcome of a run that SHIM has stopped; null: it ended by itself. */
export function outcomeOfStop({ stop }: ClientEnd): RunOutcome | null {
  if (stop?.kind === "stalled") return failure(`stalled: ${stop.reason}`);
  if (stop?.kind === "rule") return { kind: "waiting", reason: stop.reason, delayMs: machineRetryMs, isOfType: true };
  return stop && (stop.kind === "stopped" ? { kind: "stopped" } : { kind: "over_budget", reason: stop.reason });
}

/** [CX10] Claude Code reached no usage limit. */
export function outcomeOfClaude({ exit, state, stderr, usage, ...run }: ClientEnd, program: string): RunOutcome {
  const { end, problem, session } = state;
  if (exit.kind === "not_started") return failure(`${program}: ${exit.message}`);
  if (!end) return failure(`Claude Code ended with ${exit.code} and no result. ${stderr}`);
  if (end.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: toReason(end.text) };
  if (end.isError) {
    const isRetryable = isFull(end) || problem !== "invalid_request";
    const delay = problem !== null && machineProblems.has(problem) ? { delayMs: machineRetryMs } : {};
    return { ...failure(end.text || `Claude Code ended with ${end.subtype}`), isRetryable, ...delay };
  }
  const { text, turns, refused } = end;
  const cost = run.isCostMeasured ? "measured" : "estimated";
  const { tokens, costMicros } = usage;
  return outcomeOfAnswer(text, { session, turns, refused, tokens, costMicros, cost });
}

/** [CX31] [CX32] A text says why another client failed, which is not the task's fault. */
export function outcomeOfOther({ exit, state, stderr, usage }: ClientEnd, title: string): RunOutcome | string {
  const { end, session, lastText } = state;
  if (exit.kind === "not_started") return toReason(`${title}: ${exit.message}`);
  if (end?.isError) return toReason(`${title}: ${end.text}`);
  if (!end || exit.code !== 0) return toReason(`${title}: it ended with ${exit.code} and no result. ${stderr}`);
  const { tokens, costMicros } = usage;
  const facts = { session, turns: end.turns, refused: 0, client: title, tokens, costMicros, cost: "unknown" };
  return outcomeOfAnswer(lastText, facts);
}

function failure(text: string): Extract<RunOutcome, { kind: "failed" }> {
  return { kind: "failed", reason: toReason(text), isRetryable: true };
}

/** [CX25] The usage limit that has ended a run; a short throttling of the service is none. */
export function limitAtEnd({ end, limit }: RunState): UsageLimit | null {
  return end?.isError === true && !isFull(end) ? limit : null;
}

/** [RT12] The account, the service, the network or the program failed, not the model. */
export function isMachineTrouble({ exit, state: { end, problem } }: ClientEnd): boolean {
  if (exit.kind === "not_started" || !end) return true;
  if (!end.isError || isFull(end) || problem === null || problem === "model_not_found") return false;
  return machineProblems.has(problem) || serviceProblems.has(problem);
}

export function isFull({ terminalReason }: EndEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** [CX22] Whether the session to resume does not exist. */
export function isUnknownSession({ isError, subtype, turns }: EndEvent): boolean {
  return isError && subtype === "error_during_execution" && turns === 0;
}

/** [CX11] Reads the last line if it has one of the two forms that the prompt names. */
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

export function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}

const noTokens: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

interface ApiResponse {
  readonly model: string;
  readonly counts: TokenCounts;
}

/**
 * [CX9] A response counts once; the sum of the last event replaces the count. The cost is estimated
 * (0 without prices) until the client reports it. Never decreases.
 */
export class UsageMeter {
  readonly #prices: ClaudeSettings["prices"];
  readonly #responses = new Map<string, ApiResponse>();
  /** Response that is still arriving, by caller. */
  readonly #openResponses = new Map<string, string>();
  #measured = { tokens: 0, costUsd: 0 };
  #counted = 0;
  #estimated = 0;
  #tokens = 0;
  #costMicros = 0;
  isMeasured = false;

  constructor(prices: ClaudeSettings["prices"]) {
    this.#prices = prices;
  }

  read(event: RunEvent): void {
    if (event.kind === "response") this.#count(event.id, event.counts, event.model);
    else if (event.kind === "counted") {
      const { parent, id, counts } = event;
      if (id !== null) this.#openResponses.set(parent, id);
      const openResponse = this.#openResponses.get(parent);
      if (openResponse !== undefined) this.#count(openResponse, counts, null);
    } else if (event.kind === "ended") this.#measure(event);
  }

  usage(wallMs: number): Usage {
    return { wallMs, tokens: this.#tokens, costMicros: this.#costMicros };
  }

  #count(id: string, newCounts: TokenCounts, model: string | null): void {
    const before = this.#responses.get(id) ?? { model: "unknown", counts: noTokens };
    const larger = (name: keyof TokenCounts): number => Math.max(before.counts[name], newCounts[name]);
    const [input, output] = [larger("input"), larger("output")];
    const counts = { input, output, cacheRead: larger("cacheRead"), cacheWrite: larger("cacheWrite") };
    const after = { model: model ?? before.model, counts };
    this.#responses.set(id, after);
    this.#counted += totalTokens(counts) - totalTokens(before.counts);
    this.#estimated += this.#estimate(after) - this.#estimate(before);
    this.#raise(this.#counted, this.#estimated);
  }

  #measure({ tokens, costUsd, isPart }: EndEvent): void {
    const before = isPart ? this.#measured : { tokens: 0, costUsd: 0 };
    this.#measured = { tokens: before.tokens + (tokens ?? 0), costUsd: before.costUsd + (costUsd ?? 0) };
    this.#raise(this.#measured.tokens, this.#measured.costUsd * 1_000_000);
    this.isMeasured ||= costUsd !== null;
  }

  #raise(tokens: number, costMicros: number): void {
    this.#tokens = Math.max(this.#tokens, tokens);
    this.#costMicros = Math.max(this.#costMicros, Math.round(costMicros));
  }

  #estimate({ model, counts }: ApiResponse): number {
    const price = Object.hasOwn(this.#prices, model) ? this.#prices[model] : undefined;
    if (!price) return 0;
    const { input, output, cacheRead, cacheWrite } = counts;
    // Dollars per million tokens are millionths of a dollar per token.
    return input * price.input + output * price.output + cacheRead * price.cacheRead + cacheWrite * price.cacheWrite;
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

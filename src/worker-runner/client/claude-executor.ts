import * as z from "zod";
import type { ActiveLimitRule, UsageLimit } from "../../contract/at-limit.ts";
import type { Usage } from "../../contract/budgets.ts";
import { Route } from "../../contract/routes.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { zeroUsage } from "../../contract/usage.ts";
import {
  decide,
  handOver,
  limitOf,
  LimitState,
  limitText,
  type LimitWay,
  noRule,
  reached,
  stoppedText,
  titleOfWay,
  usualInMs,
  whyStop,
  withoutWay,
  withSession,
} from "../../local-mcp/recovery/at-limit.ts";
import type { LimitHandOver } from "../../local-mcp/sessions/recoveries.ts";
import * as sessions from "../../local-mcp/sessions/sessions.ts";
import { bandOf, chooseRoute, escalate, hasHigherTier } from "../../routing/model-router.ts";
import { analyzeTask } from "../../routing/prompt-analyzer.ts";
import { isRecord } from "../../shared/json-fields.ts";
import type { Executor, RunOutcome, TaskRun } from "../executor.ts";
import {
  type ClientEnd,
  ClientRun,
  defaultStopTimeouts,
  type ClientRunOptions,
  type StopTimeouts,
  isFull,
  isMachineTrouble,
  isUnknownSession,
  limitAtEnd,
  outcomeOfClaude,
  outcomeOfOther,
  outcomeOfStop,
  toReason,
  findReachedLimit,
} from "./client-run.ts";
import { claudeTaskCommand, otherCommand, startableClient } from "./command.ts";
import {
  chooseContinuation,
  takeOver,
  toCheckpoint,
  type Continuation,
  type ClientDeps,
  buildPrompt,
} from "./continuation.ts";
import { claudeOutput, otherOutput } from "./run-events.ts";
import type { ClaudeSettings } from "./settings.ts";

export interface ClaudeExecutorOptions extends ClientDeps {
  /** Clock in ms that stops while the machine sleeps, and never jumps. */
  readonly monotonic: () => number;
  readonly settings: ClaudeSettings;
  readonly stopTimeouts?: StopTimeouts;
  /** When the user last stopped the rules for usage limits, epoch ms; absent: never. */
  readonly stoppedAt?: () => number | null;
}

export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  const limits: Limits = { state: undefined, words: "" };
  return { programs: [options.settings.program], run: (run) => new ClaudeTask(options, run, limits).run() };
}

/** [CX29] The limit at which the runs of one worker and type are; it passes with time. */
interface Limits {
  /** Undefined until a run has shown it. */
  state: LimitState | null | undefined;
  /** The client's own words on it. */
  words: string;
}

type ClaudeOutcome =
  | RunOutcome
  | { readonly kind: "unknown_session" }
  /** [CX25] */
  | {
      readonly kind: "limited";
      readonly limit: UsageLimit;
      /** Whether the model had answered before. */
      readonly hasWorked: boolean;
      readonly words: string;
      readonly session: string | null;
      readonly usage: Usage;
    };

/** In the checkpoint, for the next attempt. Untrusted: it only selects a configured tier. */
const StoredRoute = z.object({ route: z.object({ attempt: z.int(), chosen: Route }) });
type StoredRoute = z.infer<typeof StoredRoute>["route"];

/** In the checkpoint, for the next worker of this machine, until that is started again. */
const StoredLimit = z.object({ limit: z.object({ boot: z.string(), state: LimitState, words: z.string() }) });

interface AtLimit {
  readonly way: LimitWay;
  readonly rule: ActiveLimitRule;
  readonly state: LimitState;
}

/** Last run, and the usage of this attempt up to its end. */
interface WayRun {
  readonly session: string | null;
  readonly usage: Usage;
}

/** `failure`: why, for people. */
interface FailedWay extends WayRun {
  readonly failure: string;
  readonly resetsAtMs: number | null;
  /** Session of that way. */
  readonly begun: string | null;
}

const otherModel = "another model continues the task";
/** The longest that the coordinator keeps a task back. */
const maxDelayMs = 86_400_000;
/** 48 bits, the most that a number reads at once. */
const randomBytes = 6;

/** One attempt at a task by Claude Code, or by the client that continues at its usage limit. */
class ClaudeTask {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: TaskRun;
  readonly #limits: Limits;
  readonly #previousRoute: StoredRoute | null;

  constructor(options: ClaudeExecutorOptions, run: TaskRun, limits: Limits) {
    this.#options = options;
    this.#run = run;
    this.#limits = limits;
    this.#previousRoute = StoredRoute.safeParse(run.task.checkpoint).data?.route ?? null;
  }

  async run(): Promise<RunOutcome> {
    const now = this.#options.runtime.now();
    const spent = findReachedLimit(zeroUsage, this.#run.budgetLeft);
    if (spent !== null) return { kind: "over_budget", reason: spent };
    if (this.#limits.state === undefined) this.#restoreLimit(now);
    const { state } = this.#limits;
    if (state && usualInMs(state, now) > 0) return this.#continueAtLimit(state, null, zeroUsage);
    const outcome = await this.#runClaude();
    if (outcome.kind === "unknown_session") throw new Error("a new session cannot be unknown");
    if (outcome.kind === "done") this.#limits.state = null;
    if (outcome.kind !== "limited") return outcome;
    const { limit, hasWorked, words, session, usage } = outcome;
    const before = hasWorked ? null : (this.#limits.state ?? null);
    const next = reached(before, limit.resetsAtMs, this.#options.runtime.now());
    Object.assign(this.#limits, { state: next, words });
    return this.#continueAtLimit(next, session, usage);
  }

  /** [LI12] Untrusted: it only makes a task wait, as long as the coordinator may let it wait. */
  #restoreLimit(now: number): void {
    const stored = StoredLimit.safeParse(this.#run.task.checkpoint).data?.limit;
    if (stored?.boot !== this.#options.runtime.processes.boot()) return;
    const { state, words } = stored;
    Object.assign(this.#limits, { state: { ...state, since: Math.min(state.since, now) }, words });
  }

  async #runClaude(): Promise<ClaudeOutcome> {
    const { settings } = this.#options;
    const { task, folder } = this.#run;
    if (settings.allowAll) this.#write("allowAll: no permission is asked for, every tool may be used");
    const route = await this.#reportRoute();
    const obstacle = this.#isSameModel(route) ? null : otherModel;
    const outcome = await this.#runSession(route, await chooseContinuation(this.#options, task, folder, obstacle));
    if (outcome.kind !== "unknown_session") return outcome;
    this.#write("Claude Code does not know the session of the previous attempt; a new one is started");
    return this.#runSession(route, await chooseContinuation(this.#options, { ...task, checkpoint: null }, folder));
  }

  async #runSession(route: Route | null, continuation: Continuation): Promise<ClaudeOutcome> {
    const { settings } = this.#options;
    if (continuation.kind === "brief")
      this.#write(`session ${continuation.restoration.session.id} is not resumed: ${continuation.reason}`);
    const prompt = buildPrompt(this.#options.runtime, this.#run, continuation, settings.instruction);
    const { budgetLeft, folder } = this.#run;
    const { session } = continuation;
    const starts = { resume: "resumed", brief: "new, with the brief of the previous one", new: "new" };
    const end = await this.#runClient(continuation, {
      title: "Claude Code",
      output: claudeOutput,
      command: claudeTaskCommand(this.#options, settings, route, continuation, budgetLeft, prompt),
      start: starts[continuation.kind],
      route,
      canEscalate: this.#canEscalate(route),
      usedBefore: zeroUsage,
    });
    const stopped = outcomeOfStop(end);
    if (stopped) return stopped;
    const { state, usage } = end;
    const last = state.end;
    if (continuation.kind === "resume" && last && isUnknownSession(last)) return { kind: "unknown_session" };
    // [RT12] The end of this attempt says nothing of the model.
    if (route && isMachineTrouble(end)) this.#setRoute({ ...route, isCounted: false });
    const limit = limitAtEnd(state);
    const { hasWorked, session: begun } = state;
    if (limit) return { kind: "limited", limit, hasWorked, words: toReason(last?.text ?? ""), session: begun, usage };
    if (last && isFull(last)) this.#run.onCheckpoint(toCheckpoint(state.session ?? session, folder, true));
    return outcomeOfClaude(end, settings.program);
  }

  /**
   * [CX25] [CX30] Has other models or clients continue the task in turn, by the rule of its folder,
   * or lets it wait.
   *
   * @param session in which Claude Code has reached the limit; null: it was not started
   */
  async #continueAtLimit(first: LimitState, session: string | null, usedBefore: Usage): Promise<RunOutcome> {
    const { runtime } = this.#options;
    let why = `: ${this.#limits.words}`;
    let state = first;
    let last: WayRun = { session, usage: usedBefore };
    while (!this.#run.signal.aborted) {
      if (this.#isStopped(state)) return this.#wait(`${why}; ${stoppedText}`);
      const decided = decide(runtime, this.#run.folder, state);
      if ("reason" in decided) return this.#wait(decided.reason === noRule ? why : `${why}; ${decided.reason}`);
      const { next, rule } = decided;
      if (next.kind === "wait" || next.way === null) break;
      const { way } = next;
      const obstacle = this.#obstacleOf(way);
      const run = obstacle === null ? await this.#runWay({ way, rule, state }, last) : null;
      if (run && "kind" in run) return run;
      why = run ? `; ${run.failure}` : `, and ${obstacle}`;
      state = run ? this.#afterWay(state, way, run) : withoutWay(state, way, null, runtime.now());
      last = run ?? last;
    }
    return this.#wait(why);
  }

  #afterWay(state: LimitState, way: LimitWay, { begun, resetsAtMs }: FailedWay): LimitState {
    const own = begun === null ? state : withSession(state, begun);
    return this.#changeState(own, (one) => withoutWay(one, way, resetsAtMs, this.#options.runtime.now()));
  }

  /** [LI4] */
  #isStopped({ since }: LimitState): boolean {
    return (this.#options.stoppedAt?.() ?? 0) >= since;
  }

  /** Another task of the type may have changed it, too. */
  #changeState(own: LimitState, change: (state: LimitState) => LimitState): LimitState {
    if (this.#limits.state) this.#limits.state = change(this.#limits.state);
    return change(own);
  }

  /** [CX31] Why this way cannot do the task. */
  #obstacleOf(way: LimitWay): string | null {
    if ("model" in way) return null;
    const title = titleOfWay(way);
    if (otherOutput(way.client) === null) return `what ${title} prints cannot be read`;
    const { costMicros, tokens } = this.#run.budgetLeft;
    const measure = costMicros !== null ? "cost" : tokens !== null ? "tokens" : null;
    return measure === null ? null : `${title} does not report the ${measure} that the task limits`;
  }

  /** One run of another model or client. @returns the task's outcome, or how that way has failed */
  async #runWay(at: AtLimit, last: WayRun): Promise<RunOutcome | FailedWay> {
    const { way, state } = at;
    const title = titleOfWay(way);
    const end = await this.#startWay(at, last);
    const { session } = end.state;
    if (session !== null) this.#changeState(state, (one) => withSession(one, session));
    if (end.stop?.kind === "rule") return this.#wait(`; ${end.stop.reason}`);
    const stopped = outcomeOfStop(end);
    if (stopped) return stopped;
    const outcome = "model" in way ? outcomeOfClaude(end, this.#options.settings.program) : outcomeOfOther(end, title);
    const limit = "model" in way ? limitAtEnd(end.state) : this.#recordedLimit(outcome, session);
    if (typeof outcome !== "string" && limit === null) return outcome;
    const failure = typeof outcome === "string" ? outcome : `${title}: ${toReason(end.state.end?.text ?? "")}`;
    const resetsAtMs = limit?.resetsAtMs ?? null;
    return { failure, resetsAtMs, begun: session, session: session ?? last.session, usage: end.usage };
  }

  /** Limit that another client has recorded, if it failed. */
  #recordedLimit(outcome: RunOutcome | string, id: string | null): UsageLimit | null {
    if (typeof outcome !== "string" || id === null) return null;
    return this.#options.runtime.store.read((sql) => {
      const session = sessions.get(sql, id);
      return session && limitOf(sql, session);
    }, null);
  }

  async #startWay({ way, rule, state }: AtLimit, last: WayRun): Promise<ClientEnd> {
    const { settings, runtime } = this.#options;
    const { task, folder } = this.#run;
    const note = `${limitText}; ${titleOfWay(way)} continues`;
    this.#write(note);
    this.#run.onProgress({ note });
    const before = isRecord(task.checkpoint) ? task.checkpoint : {};
    const checkpoint = last.session === null ? task.checkpoint : { ...before, ...toCheckpoint(last.session, folder) };
    const continuation = await chooseContinuation(this.#options, { ...task, checkpoint }, folder, limitText);
    const prompt = buildPrompt(runtime, this.#run, continuation, settings.instruction);
    const withChat = (session: string | null): LimitState => {
      const isRecorded = session !== null && runtime.store.read((sql) => sessions.get(sql, session) !== null, false);
      return isRecorded ? withSession(state, session) : state;
    };
    const whyEnd = (session: string | null): string | null =>
      this.#isStopped(state) ? stoppedText : whyStop(runtime, folder, rule, withChat(session));
    const program = this.#wayOf(way, continuation, prompt);
    const own = { ...program, route: null, canEscalate: false, usedBefore: last.usage, whyStop: whyEnd };
    return this.#runClient(continuation, own, handOver(runtime, way, state));
  }

  #wayOf(
    way: LimitWay,
    continuation: Continuation,
    prompt: string,
  ): Pick<ClientRunOptions, "title" | "output" | "command" | "start"> {
    const { settings, runtime } = this.#options;
    const { session } = continuation;
    if ("model" in way) {
      const own = { ...settings, model: way.model };
      const command = claudeTaskCommand(this.#options, own, null, continuation, this.#run.budgetLeft, prompt);
      return { title: "Claude Code", output: claudeOutput, command, start: "new, at the usage limit" };
    }
    const [client, output] = [startableClient(way.client), otherOutput(way.client)];
    if (!client || !output) throw new Error(`${way.client} cannot do tasks`);
    const request = { prompt, successor: session, variables: settings.env, ownArgs: output.args };
    return { title: client.title, output, command: otherCommand(runtime, client, way, request), start: null };
  }

  async #runClient(
    continuation: Continuation,
    own: Omit<ClientRunOptions, "prices" | "monotonic" | "stopTimeouts">,
    limit?: LimitHandOver,
  ): ReturnType<ClientRun["run"]> {
    const { settings, monotonic, stopTimeouts = defaultStopTimeouts } = this.#options;
    const release = await takeOver(this.#options, continuation, limit);
    try {
      return await new ClientRun({ ...own, prices: settings.prices, monotonic, stopTimeouts }, this.#run).run();
    } finally {
      await release();
    }
  }

  #wait(why: string): RunOutcome {
    const { runtime } = this.#options;
    const { state, words } = this.#limits;
    if (state) this.#run.onCheckpoint({ limit: { boot: runtime.processes.boot(), state, words } });
    const waitMs = state ? usualInMs(state, runtime.now()) : 0;
    return { kind: "waiting", reason: `${limitText}${why}`, delayMs: Math.min(maxDelayMs, waitMs), isOfType: true };
  }

  /** [RT19] Reports it first, so that a worker that dies leaves it with its next heartbeat. */
  async #reportRoute(): Promise<Route | null> {
    const route = await this.#findRoute();
    if (!route) return null;
    this.#setRoute(route);
    const effort = route.effort === null ? "" : `, effort ${route.effort}`;
    this.#write(`tier ${route.tier} (${route.model}${effort}): ${route.reason.replace("_", " ")}`);
    return route;
  }

  #setRoute(chosen: Route): void {
    this.#run.onRoute(chosen);
    this.#run.onCheckpoint({ route: { attempt: this.#run.task.attempt, chosen } });
  }

  /** Returns null for a type without a route. */
  async #findRoute(): Promise<Route | null> {
    const { settings, runtime } = this.#options;
    const { task, findRouteCounts } = this.#run;
    const { route: table } = settings;
    if (!table) return null;
    const random = (): number =>
      Buffer.from(runtime.random(randomBytes)).readUIntBE(0, randomBytes) / 2 ** (8 * randomBytes);
    const previous = this.#previousRoute;
    if (!previous) return chooseRoute(table, bandOf(analyzeTask(task.payload)), await findRouteCounts(), random);
    // A later attempt follows a failure.
    const isSame = previous.attempt === task.attempt || !previous.chosen.isCounted;
    const tier = table.tiers.find(({ name }) => name === previous.chosen.tier);
    if (!isSame || !tier) return escalate(table, previous.chosen);
    return { ...previous.chosen, model: tier.model, effort: tier.effort ?? null, isCounted: true };
  }

  /** [RT16] A session is resumed only by the model that has begun it. */
  #isSameModel(route: Route | null): boolean {
    const begun = this.#previousRoute?.chosen ?? null;
    if (!route) return begun === null || (begun.model === this.#options.settings.model && begun.effort === null);
    return begun !== null && begun.model === route.model && begun.effort === route.effort;
  }

  /** [RT15] Whether stopping a stalled run brings a better attempt. */
  #canEscalate(route: Route | null): boolean {
    const { route: table } = this.#options.settings;
    const { attempt, maxAttempts }: ClaimedTask = this.#run.task;
    return table !== undefined && route !== null && hasHigherTier(table, route) && attempt < maxAttempts;
  }

  #write(text: string): void {
    this.#run.onOutput(`${text}\n`);
  }
}

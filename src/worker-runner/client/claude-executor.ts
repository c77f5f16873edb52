import * as z from "zod";
import type { Usage } from "../../contract/budgets.ts";
import { Route } from "../../contract/routes.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { zeroUsage } from "../../contract/usage.ts";
import { settingsHash } from "../../local-mcp/recording/session-settings.ts";
import { bandOf, chooseRoute, escalate, hasHigherTier } from "../../routing/model-router.ts";
import { analyzeTask } from "../../routing/prompt-analyzer.ts";
import { isRecord } from "../../shared/json-fields.ts";
import type { Executor, RunOutcome, TaskRun } from "../executor.ts";
import {
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
  LimitMemory,
  type UsageLimit,
} from "./client-run.ts";
import { claudeTaskCommand, clientAtLimit, otherCommand } from "./command.ts";
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
}

export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  const { program, atLimit } = options.settings;
  const limits = new LimitMemory();
  const other = clientAtLimit(atLimit)?.commands.run("", []).command;
  const programs = [program, ...(other === undefined ? [] : [atLimit?.program ?? other])];
  return { programs, run: (run) => new ClaudeTask(options, run, limits).run() };
}

type ClaudeOutcome =
  | RunOutcome
  | { readonly kind: "unknown_session" }
  /** [CX25] */
  | {
      readonly kind: "limited";
      readonly limit: UsageLimit;
      readonly words: string;
      readonly session: string | null;
      readonly usage: Usage;
    };

/** In the checkpoint, for the next attempt. Untrusted: it only selects a configured tier. */
const StoredRoute = z.object({ route: z.object({ attempt: z.int(), chosen: Route }) });
type StoredRoute = z.infer<typeof StoredRoute>["route"];

const otherModel = "another model continues the task";
const limitText = "Claude Code has reached its usage limit";
/** The longest that the coordinator keeps a task back. */
const maxDelayMs = 86_400_000;
/** 48 bits, the most that a number reads at once. */
const randomBytes = 6;

/** One attempt at a task by Claude Code, or by the client that continues at its usage limit. */
class ClaudeTask {
  readonly #options: ClaudeExecutorOptions;
  readonly #run: TaskRun;
  readonly #limits: LimitMemory;
  readonly #previousRoute: StoredRoute | null;

  constructor(options: ClaudeExecutorOptions, run: TaskRun, limits: LimitMemory) {
    this.#options = options;
    this.#run = run;
    this.#limits = limits;
    this.#previousRoute = StoredRoute.safeParse(run.task.checkpoint).data?.route ?? null;
  }

  async run(): Promise<RunOutcome> {
    const now = this.#options.runtime.now();
    const reached = findReachedLimit(zeroUsage, this.#run.budgetLeft);
    if (reached !== null) return { kind: "over_budget", reason: reached };
    if (this.#limits.remainingMs(now) > 0) return this.#continueAtLimit(null, zeroUsage);
    const outcome = await this.#runClaude();
    if (outcome.kind === "unknown_session") throw new Error("a new session cannot be unknown");
    if (outcome.kind === "done") this.#limits.clear();
    if (outcome.kind !== "limited") return outcome;
    this.#limits.set(outcome.limit, outcome.words, this.#options.runtime.now());
    return this.#continueAtLimit(outcome.session, outcome.usage);
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
    if (limit) return { kind: "limited", limit, words: toReason(last?.text ?? ""), session: state.session, usage };
    if (last && isFull(last)) this.#run.onCheckpoint(toCheckpoint(state.session ?? session, folder, true));
    return outcomeOfClaude(end, settings.program);
  }

  /**
   * [CX25] [CX30] Has another client continue the task, or lets it wait.
   *
   * @param session in which Claude Code has reached the limit; null: it was not started
   */
  async #continueAtLimit(session: string | null, usedBefore: Usage): Promise<RunOutcome> {
    const { settings, runtime } = this.#options;
    const { atLimit } = settings;
    const { task, folder, budgetLeft, signal } = this.#run;
    const client = clientAtLimit(atLimit);
    const output = client && otherOutput(client.name);
    if (!atLimit || !client || !output || signal.aborted) return this.#wait(`${limitText}: ${this.#limits.words}`);
    const { title } = client;
    // [CX31] Such a client does not report it while it works.
    const measure = budgetLeft.costMicros !== null ? "cost" : budgetLeft.tokens !== null ? "tokens" : null;
    if (measure !== null)
      return this.#wait(`${limitText}, and ${title} does not report the ${measure} that the task limits`);
    this.#write(`${limitText}; ${title} continues`);
    this.#run.onProgress({ note: `${limitText}; ${title} continues` });
    const before = isRecord(task.checkpoint) ? task.checkpoint : {};
    const checkpoint = session === null ? task.checkpoint : { ...before, ...toCheckpoint(session, folder) };
    const continuation = await chooseContinuation(this.#options, { ...task, checkpoint }, folder, limitText);
    const prompt = buildPrompt(runtime, this.#run, continuation, settings.instruction);
    const request = { prompt, successor: continuation.session, variables: settings.env, ownArgs: output.args };
    const command = otherCommand(runtime, client, atLimit, request);
    const own = { title, output, command, start: null, route: null, canEscalate: false };
    const end = await this.#runClient(continuation, { ...own, usedBefore });
    const outcome = outcomeOfStop(end) ?? outcomeOfOther(end, title);
    return typeof outcome === "string" ? this.#wait(`${limitText}; ${outcome}`) : outcome;
  }

  async #runClient(
    continuation: Continuation,
    own: Omit<ClientRunOptions, "prices" | "monotonic" | "stopTimeouts">,
  ): ReturnType<ClientRun["run"]> {
    const { settings, monotonic, stopTimeouts = defaultStopTimeouts } = this.#options;
    const release = await takeOver(this.#options, continuation);
    try {
      return await new ClientRun({ ...own, prices: settings.prices, monotonic, stopTimeouts }, this.#run).run();
    } finally {
      await release();
    }
  }

  #wait(reason: string): RunOutcome {
    const delayMs = Math.min(maxDelayMs, this.#limits.remainingMs(this.#options.runtime.now()));
    return { kind: "waiting", reason, delayMs, isOfType: true };
  }

  /** [RT19] Reports it first, so that a worker that dies leaves it with its next heartbeat. */
  async #reportRoute(): Promise<Route | null> {
    const found = await this.#findRoute();
    if (!found) return null;
    const route = { ...found, settings: settingsHash(this.#options.runtime.config) };
    this.#setRoute(route);
    const effort = route.effort === null ? "" : `, effort ${route.effort}`;
    const chance = route.propensity < 1 ? `, chosen with probability ${route.propensity.toFixed(3)}` : "";
    this.#write(`tier ${route.tier} (${route.model}${effort}): ${route.reason.replace("_", " ")}${chance}`);
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

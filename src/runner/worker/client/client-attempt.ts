import * as z from "zod";
import { adapterOf } from "../../../clients/adapters.ts";
import { detailsOf } from "../../../clients/details.ts";
import type { ClientAdapter } from "../../../clients/adapter/client-adapter.ts";
import type { RunOutput } from "../../../clients/adapter/run-output.ts";
import type { ActiveLimitRule, UsageLimit } from "../../../contract/config.ts";
import { type Usage, zeroUsage } from "../../../contract/budgets.ts";
import type { Route } from "../../../contract/model-routes.ts";
import {
  decide,
  handOver,
  limitOf,
  LimitState,
  limitText,
  type LimitWay,
  reached,
  stoppedText,
  titleOfWay,
  usualInMs,
  whyStop,
  withoutWay,
  withSession,
} from "../../../machine/sessions/usage/at-limit.ts";
import type { LimitHandOver } from "../../../machine/sessions/recoveries.ts";
import * as sessions from "../../../machine/sessions/sessions.ts";
import { isRecord } from "../../../shared/json-fields.ts";
import { failed, type RunOutcome } from "../executor.ts";
import { type ClientEnd, ClientRun, type ClientRunOptions, type RunDeps, findReachedLimit } from "./client-run.ts";
import {
  type ClientWork,
  type Model,
  chooseContinuation,
  type Continuation,
  sessionToContinue,
  takeOver,
  toCheckpoint,
} from "./continuation.ts";
import { isFull, isMachineTrouble, judge, type Judged } from "./judge-run.ts";
import { drivenCommand, otherCommand } from "./command.ts";
import { type ClientDeps } from "../machine-deps.ts";

export interface AttemptOptions extends ClientDeps, RunDeps {
  /** When the user last stopped the rules for usage limits, epoch ms; absent: never. */
  readonly stoppedAt?: () => number | null;
}

/** The limit at which the runs of one worker and type are; it passes with time. */
export interface Limits {
  /** Undefined until a run has shown it. */
  state: LimitState | null | undefined;
  /** The client's own words on it. */
  words: string;
}

/** Model that a route has chosen. */
export interface Choice {
  /** Route, or null for the usual model. */
  readonly route: Route | null;
  /** False: another model has begun the session of the checkpoint. */
  readonly isSameModel: boolean;
  /** The end of the run says nothing of the model. */
  readonly onMachineTrouble: () => void;
}

const usualModel: Choice = {
  route: null,
  isSameModel: true,
  onMachineTrouble: () => undefined,
};

/** In the checkpoint, for the next process of this machine, until that is started again. */
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

/** One attempt at work by its usual client, or by what continues at a usage limit. */
export class ClientAttempt {
  readonly #options: AttemptOptions;
  readonly #work: ClientWork;
  readonly #limits: Limits;

  constructor(options: AttemptOptions, work: ClientWork, limits: Limits) {
    this.#options = options;
    this.#work = work;
    this.#limits = limits;
  }

  async run(choose: () => Promise<Choice> = () => Promise.resolve(usualModel)): Promise<RunOutcome> {
    const now = this.#options.runtime.now();
    const spent = findReachedLimit(zeroUsage, this.#work.budgetLeft);
    if (spent !== null) return { kind: "over_budget", reason: spent };
    if (this.#limits.state === undefined) this.#restoreLimit(now);
    const { state = null } = this.#limits;
    if (state && usualInMs(state, now) > 0) return this.#continueAtLimit(state, null, zeroUsage);
    return this.#runUsual(await choose(), state);
  }

  /** Untrusted: it only makes work wait, as long as the coordinator may let it wait. */
  #restoreLimit(now: number): void {
    const stored = StoredLimit.safeParse(this.#work.checkpoint).data?.limit;
    if (stored?.boot !== this.#options.runtime.processes.boot()) return;
    const { state, words } = stored;
    Object.assign(this.#limits, { state: { ...state, since: Math.min(state.since, now) }, words });
  }

  /** @param before the limit at which it was before */
  async #runUsual(choice: Choice, before: LimitState | null): Promise<RunOutcome> {
    const { runtime } = this.#options;
    const last = sessionToContinue(runtime, this.#work.checkpoint);
    // A session is resumed only by the model that has begun it.
    const isOther = !choice.isSameModel || (last !== null && before?.sessions.includes(last) === true);
    let continuation = await chooseContinuation(this.#options, this.#work, isOther ? otherModel : null);
    let end = await this.#startUsual(choice, continuation);
    let judged = judge(end, null);
    if (judged.kind === "unknown_session" && continuation.kind === "resume") {
      const { title } = this.#work.client;
      this.#write(`${title} does not know the session of the previous attempt; a new one is started`);
      const unresumable = `${title} cannot resume it`;
      continuation = await chooseContinuation(this.#options, this.#work, unresumable);
      end = await this.#startUsual(choice, continuation);
      judged = judge(end, null);
    }
    const { state, usage } = end;
    if (state.end && isFull(state.end))
      this.#work.onCheckpoint(toCheckpoint(state.session ?? continuation.session, this.#work.folder, true));
    if (judged.kind === "done") this.#limits.state = null;
    if (judged.kind !== "limited") return asOutcome(judged);
    const next = reached(state.hasWorked ? null : before, judged.limit.resetsAtMs, runtime.now());
    Object.assign(this.#limits, { state: next, words: judged.words });
    return this.#continueAtLimit(next, state.session, usage);
  }

  async #startUsual(choice: Choice, continuation: Continuation): Promise<ClientEnd> {
    const { route, onMachineTrouble } = choice;
    if (continuation.kind === "brief")
      this.#write(`session ${continuation.restoration.session.id} is not resumed: ${continuation.reason}`);
    const starts = { resume: "resumed", brief: "new, with the brief of the previous one", new: "new" };
    const start = starts[continuation.kind];
    const own = { ...this.#driven(continuation, route), start, route, usedBefore: zeroUsage };
    const end = await this.#runClient(continuation, describeStart(continuation), own);
    if (route && !end.stop && isMachineTrouble(end)) onMachineTrouble();
    return end;
  }

  #driven(continuation: Continuation, model: Model | null): ProgramOptions {
    const { argsOf, promptOf, client } = this.#work;
    const command = drivenCommand(this.#options, this.#work, argsOf(model), continuation, promptOf(continuation));
    return { title: client.title, output: outputOf(client), command };
  }

  /**
   * Has other models or clients continue the work in turn, by the rule of its folder,
   * or lets it wait.
   *
   * @param session in which the usual client has reached the limit; null: it was not started
   */
  async #continueAtLimit(first: LimitState, session: string | null, usedBefore: Usage): Promise<RunOutcome> {
    const { runtime } = this.#options;
    let why = `: ${this.#limits.words}`;
    let state = first;
    let last: WayRun = { session, usage: usedBefore };
    while (!this.#work.signal.aborted) {
      if (this.#isStopped(state)) return this.#wait(`${why}; ${stoppedText}`);
      const decided = decide(runtime, this.#work.folder, state);
      if ("reason" in decided) return this.#wait(`${why}; ${decided.reason}`);
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
    return this.#work.signal.aborted ? { kind: "stopped" } : { ...this.#wait(why), isByRule: true };
  }

  #afterWay(state: LimitState, way: LimitWay, { begun, resetsAtMs }: FailedWay): LimitState {
    const own = begun === null ? state : withSession(state, begun);
    return this.#changeState(own, (one) => withoutWay(one, way, resetsAtMs, this.#options.runtime.now()));
  }

  #isStopped({ since }: LimitState): boolean {
    return (this.#options.stoppedAt?.() ?? 0) >= since;
  }

  /** Another task of the type may have changed it, too. */
  #changeState(own: LimitState, change: (state: LimitState) => LimitState): LimitState {
    if (this.#limits.state) this.#limits.state = change(this.#limits.state);
    return change(own);
  }

  /** Why this way cannot do the task. */
  #obstacleOf(way: LimitWay): string | null {
    if ("model" in way) return null;
    const title = titleOfWay(way);
    if (!detailsOf(way.client)?.runOutput) return `what ${title} prints cannot be read`;
    const { costMicros, tokens } = this.#work.budgetLeft;
    const measure = costMicros !== null ? "cost" : tokens !== null ? "tokens" : null;
    return measure === null ? null : `${title} does not report the ${measure} that the task limits`;
  }

  /** One run of another model or client. @returns the outcome, or how that way has failed */
  async #runWay(at: AtLimit, last: WayRun): Promise<RunOutcome | FailedWay> {
    const { way, state } = at;
    const end = await this.#startWay(at, last);
    const { session } = end.state;
    if (session !== null) this.#changeState(state, (one) => withSession(one, session));
    const title = titleOfWay(way);
    const isOther = "client" in way;
    const judged = judge(end, isOther ? title : null);
    if (judged.kind === "rule") return this.#wait(`; ${judged.reason}`);
    const isLimited = judged.kind === "limited";
    if (!isLimited && !(isOther && judged.kind === "broken")) return asOutcome(judged);
    const failure = `${title}: ${isLimited ? judged.words : judged.reason}`;
    const limit = isLimited ? judged.limit : this.#recordedLimit(session);
    const resetsAtMs = limit?.resetsAtMs ?? null;
    return { failure, resetsAtMs, begun: session, session: session ?? last.session, usage: end.usage };
  }

  /** Limit that another client has recorded. */
  #recordedLimit(id: string | null): UsageLimit | null {
    if (id === null) return null;
    return this.#options.runtime.store.read((sql) => {
      const session = sessions.get(sql, id);
      return session && limitOf(sql, session);
    }, null);
  }

  async #startWay({ way, rule, state }: AtLimit, last: WayRun): Promise<ClientEnd> {
    const { runtime } = this.#options;
    const { folder, checkpoint: first } = this.#work;
    const note = `${limitText}; ${titleOfWay(way)} continues`;
    this.#write(note);
    this.#work.onProgress({ note });
    this.#keepLimit();
    const before = isRecord(first) ? first : {};
    const checkpoint = last.session === null ? first : { ...before, ...toCheckpoint(last.session, folder) };
    const continuation = await chooseContinuation(this.#options, { ...this.#work, checkpoint }, limitText);
    const withChat = (session: string | null): LimitState => {
      const isRecorded = session !== null && runtime.store.read((sql) => sessions.get(sql, session) !== null, false);
      return isRecorded ? withSession(state, session) : state;
    };
    const whyEnd = (session: string | null): string | null =>
      this.#isStopped(state) ? stoppedText : whyStop(runtime, folder, rule, withChat(session));
    const program = this.#wayOf(way, continuation);
    const own = { ...program, route: null, usedBefore: last.usage, whyStop: whyEnd };
    const how = `${titleOfWay(way)}, ${describeStart(continuation)}`;
    return this.#runClient(continuation, how, own, handOver(runtime, way, state));
  }

  #wayOf(way: LimitWay, continuation: Continuation): ProgramOptions & Pick<ClientRunOptions, "start"> {
    if ("model" in way)
      return { ...this.#driven(continuation, { ...way, effort: null }), start: "new, at the usage limit" };
    const output = outputOf(adapterOf(way.client));
    const { env, promptOf } = this.#work;
    const { session } = continuation;
    const command = otherCommand(this.#options.runtime, way, env, output.args, session, promptOf(continuation));
    return { title: titleOfWay(way), output, command, start: null };
  }

  async #runClient(
    continuation: Continuation,
    how: string,
    own: Omit<ClientRunOptions, keyof RunDeps>,
    limit?: LimitHandOver,
  ): Promise<ClientEnd> {
    const { onStart, onEnd } = this.#work;
    const release = await takeOver(this.#options, continuation, limit);
    try {
      onStart?.(continuation.session, how);
      const end = await new ClientRun({ ...this.#options, ...own }, this.#work).run();
      await onEnd?.(end.state.session ?? continuation.session);
      return end;
    } finally {
      await release();
    }
  }

  #wait(why: string): Extract<RunOutcome, { kind: "waiting" }> {
    this.#keepLimit();
    const { state } = this.#limits;
    const waitMs = state ? usualInMs(state, this.#options.runtime.now()) : 0;
    return { kind: "waiting", reason: `${limitText}${why}`, delayMs: Math.min(maxDelayMs, waitMs), isOfType: true };
  }

  #keepLimit(): void {
    const { state, words } = this.#limits;
    if (state) this.#work.onCheckpoint({ limit: { boot: this.#options.runtime.processes.boot(), state, words } });
  }

  #write(text: string): void {
    this.#work.onOutput(`${text}\n`);
  }
}

function outputOf(client: ClientAdapter | null): RunOutput {
  const output = client && detailsOf(client.name)?.runOutput;
  if (!output) throw new Error(`what ${client?.title} prints cannot be read`);
  return output;
}

type ProgramOptions = Pick<ClientRunOptions, "title" | "output" | "command">;

function describeStart(continuation: Continuation): string {
  const { kind, session } = continuation;
  if (kind === "brief")
    return `session ${session} with the brief of ${continuation.restoration.session.id}, because ${continuation.reason}`;
  return kind === "new" ? `a new session, ${session}` : `session ${session} is resumed`;
}

function asOutcome(judged: Judged): RunOutcome {
  if (judged.kind === "unknown_session") return failed(judged.reason, true);
  if (judged.kind === "broken") return { ...judged, kind: "failed" };
  if (judged.kind === "limited" || judged.kind === "rule") throw new Error(`${judged.kind} is no outcome`);
  return judged;
}

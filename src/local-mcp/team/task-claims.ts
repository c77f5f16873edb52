import * as news from "../sessions/news.ts";
import { pollEveryMs, type CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { claimer, type Claim } from "../../coordinator-client/claimer.ts";
import { pause } from "../../coordinator-client/edge/platform.ts";
import type { ChatParts } from "./chat-parts.ts";
import type { HeldClaims, HeldTask } from "./held-claims.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

interface TaskClaimsParts extends ChatParts {
  readonly tasks: HeldClaims;
  readonly capabilities: () => readonly string[];
  readonly onTaken: () => void;
  readonly onTasks: (listener: () => void) => () => void;
}

interface AlertRequest {
  readonly types: readonly string[];
  readonly at: number;
}

const claimTimeoutMs = 8_000;
const searchEveryMs = 2_000;
/** For a task that came before the watch did. */
const firstPauseMs = 1_000;

export class TaskClaims {
  readonly #parts: TaskClaimsParts;
  readonly #ask: Claim;
  readonly #closing = new AbortController();
  /** Types for which the chat found nothing; a later process of the chat must ask again. */
  #alert: AlertRequest | null = null;
  #searching: Promise<void> | null = null;
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: TaskClaimsParts) {
    this.#parts = parts;
    this.#ask = claimer(parts.link, parts.platform, claimTimeoutMs);
  }

  /** [TE40] @param types empty: all; @param waitMs 0: asks once */
  async claim(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    this.#alert = null;
    const result = await this.#claimWithin(types, waitMs);
    if (result.ok && result.value === null) this.#alert = { types, at: this.#parts.runtime.now() };
    return result;
  }

  async findWaiting(types: readonly string[]): Promise<Result<WaitingTasks[], CallError>> {
    const { link, capabilities } = this.#parts;
    const tasks: WaitingTask[] = [];
    for (const state of ["blocked", "scheduled", "queued"] as const) {
      const listed = await listTasks(link, state, types);
      if (!listed.ok) return listed;
      for (const task of listed.value) {
        const missing = missingCapabilities(task, capabilities());
        // A queued task that fits was taken meanwhile, or the chat takes no more.
        if (state === "queued" && missing.length === 0) continue;
        tasks.push({ ...task, missing, waitsFor: state === "blocked" ? await readNeeds(link, task) : [] });
      }
    }
    return ok([...Map.groupBy(tasks, ({ type }) => type)].map(([type, all]) => toWaitingTasks(type, all)));
  }

  /** [TE40] Alerts once when a task can be taken. */
  async check(): Promise<void> {
    const now = this.#parts.runtime.now();
    if (this.#alert === null || this.#searching || Math.abs(now - this.#searchedAt) < searchEveryMs) return;
    this.#searchedAt = now;
    this.#searching = this.#search(this.#alert).finally(() => (this.#searching = null));
    await this.#searching;
  }

  close(): void {
    this.#closing.abort();
  }

  async #claimWithin(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    const { link, platform, isLocal, onTasks } = this.#parts;
    const late = new AbortController();
    const ended = AbortSignal.any([this.#closing.signal, late.signal]);
    let hint = new AbortController();
    const unsubscribes = [
      link.onHint(() => hint.abort()),
      platform.setTimer(() => late.abort(), waitMs),
      ...(waitMs === 0 || isLocal ? [] : [onTasks(() => hint.abort())]),
    ];
    try {
      for (let pauseMs = firstPauseMs; ; pauseMs = pollEveryMs) {
        // Before the request, so that no hint is missed.
        hint = new AbortController();
        const answer = await this.#claimOnce(types);
        const isEmpty = answer.ok ? answer.value === null : isTransient(answer.error);
        if (!isEmpty || waitMs === 0 || ended.aborted) return answer;
        await pause(platform, Math.min(pauseMs, pollEveryMs), AbortSignal.any([ended, hint.signal]));
      }
    } finally {
      for (const stop of unsubscribes) stop();
    }
  }

  async #claimOnce(types: readonly string[]): Promise<Result<HeldTask | null, CallError>> {
    const { tasks, error } = await this.#ask(1, types);
    const [task] = tasks;
    if (!task) return error ? err(error) : ok(null);
    const held = this.#parts.tasks.add(task);
    this.#parts.onTaken();
    return ok(held);
  }

  async #search(alert: AlertRequest): Promise<void> {
    const { runtime, link, sessionId, workspace, capabilities } = this.#parts;
    const queued = await listTasks(link, "queued", alert.types);
    const isFit = (task: TaskLine): boolean => missingCapabilities(task, capabilities()).length === 0;
    const firstTask = queued.ok ? queued.value.find(isFit) : undefined;
    if (!firstTask || this.#alert !== alert) return;
    const { task, type: title } = firstTask;
    const key = `available:${workspace}:${task}:${alert.at}`;
    news.notify(runtime, sessionId, key, { kind: "task_available", task, title });
    this.#alert = null;
  }
}

export type WaitingTasks = {
  readonly type: string;
  readonly tasks: readonly number[];
  readonly waitsFor: readonly { readonly task: number; readonly state: TaskState }[];
  readonly needs: readonly string[];
  /** Time until the first task is due; null if none waits for a time. */
  readonly dueInMs: number | null;
};

const timeoutMs = 5_000;
const maxListed = 200;
const maxRead = 20;
const endedStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

async function listTasks(
  link: CoordinatorClient,
  state: TaskState,
  types: readonly string[],
): Promise<Result<TaskLine[], CallError>> {
  const type = types.length === 1 ? types[0] : undefined;
  const list = await link.call("tasks.list", { state, limit: maxListed, ...omitUndefined({ type }) }, timeoutMs);
  if (!list.ok) return list;
  const ofTypes = list.value.tasks.filter(({ type }) => types.length === 0 || types.includes(type));
  return ok(ofTypes.slice(0, maxRead));
}

function missingCapabilities({ capabilities }: TaskLine, abilities: readonly string[]): string[] {
  return capabilities.filter((one) => !abilities.includes(one));
}

interface WaitingTask extends Pick<TaskLine, "task" | "type" | "state" | "dueInMs"> {
  readonly missing: readonly string[];
  readonly waitsFor: WaitingTasks["waitsFor"];
}

async function readNeeds(link: CoordinatorClient, { task }: TaskLine): Promise<WaitingTasks["waitsFor"]> {
  const explained = await link.call("tasks.explain", { task }, timeoutMs);
  const needs = explained.ok ? explained.value.needs : [];
  return needs.flatMap(({ task: needed, known }) =>
    known === null || endedStates.has(known.state) ? [] : [{ task: needed, state: known.state }],
  );
}

function toWaitingTasks(type: string, tasks: readonly WaitingTask[]): WaitingTasks {
  const waitsFor = new Map(tasks.flatMap((one) => one.waitsFor.map((needed) => [needed.task, needed])));
  const dueTimes = tasks.flatMap(({ state, dueInMs }) => (state === "scheduled" && dueInMs !== null ? [dueInMs] : []));
  return {
    type,
    tasks: tasks.map(({ task }) => task).toSorted((a, b) => a - b),
    waitsFor: [...waitsFor.values()].toSorted((a, b) => a.task - b.task),
    needs: [...new Set(tasks.flatMap(({ missing }) => missing))],
    dueInMs: dueTimes.length === 0 ? null : Math.min(...dueTimes),
  };
}

import * as news from "../sessions/news.ts";
import { pollEveryMs } from "../../contract/protocol.ts";
import { isTransient, type CallError } from "../../contract/errors.ts";
import { isWithin } from "../../shared/known-time.ts";
import { oneAtATime } from "../../shared/one-at-a-time.ts";
import { repeat } from "../../shared/repeat.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { claimer, type Claim } from "../../coordinator-client/coordinator-client.ts";
import { pause } from "../../coordinator-client/edge/platform.ts";
import type { ChatParts } from "./chat-parts.ts";
import type { HeldClaims, HeldTask } from "./held-claims.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

interface TaskClaimsParts extends ChatParts {
  readonly tasks: HeldClaims;
  readonly capabilities: () => readonly string[];
  readonly onTaken: () => void;
}

interface AlertRequest {
  readonly types: readonly string[];
  readonly at: number;
}

const claimTimeoutMs = 8_000;
const searchEveryMs = 2_000;
const listTimeoutMs = 5_000;
const maxListed = 200;
/** For a task that came before the watch did. */
const firstPauseMs = 1_000;

export class TaskClaims {
  readonly #parts: TaskClaimsParts;
  readonly #ask: Claim;
  /** Types for which the chat found nothing; a later process of the chat must ask again. */
  #alert: AlertRequest | null = null;
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: TaskClaimsParts) {
    this.#parts = parts;
    this.#ask = claimer(parts.link, parts.platform, claimTimeoutMs);
  }

  /** @param types empty: all; @param waitMs 0: asks once */
  async claim(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    this.#alert = null;
    const result = await this.#claimWithin(types, waitMs);
    if (result.ok && result.value === null) this.#alert = { types, at: this.#parts.runtime.now() };
    return result;
  }

  /** Alerts once when a task can be taken. */
  readonly check = oneAtATime(() => this.#search());

  async #claimWithin(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    const { link, platform, isLocal, signal } = this.#parts;
    const late = new AbortController();
    const ended = AbortSignal.any([signal, late.signal]);
    let hint = new AbortController();
    const unsubscribes = [
      link.onHint(() => hint.abort()),
      platform.setTimer(() => late.abort(), waitMs),
      // An edge hints at free tasks only to those that watch them.
      ...(waitMs === 0 || isLocal ? [] : [link.onChanges("$task/", (changes) => changes && hint.abort())]),
    ];
    try {
      return await repeat(
        () => {
          // Before the request, so that no hint is missed.
          hint = new AbortController();
          return this.#claimOnce(types);
        },
        (answer, attempt) => {
          const isEmpty = answer.ok ? answer.value === null : isTransient(answer.error);
          if (!isEmpty || waitMs === 0 || ended.aborted) return null;
          return attempt === 0 ? firstPauseMs : pollEveryMs;
        },
        (ms) => pause(platform, ms, AbortSignal.any([ended, hint.signal])),
      );
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

  async #search(): Promise<void> {
    const alert = this.#alert;
    const now = this.#parts.runtime.now();
    if (alert === null || isWithin(now - this.#searchedAt, searchEveryMs)) return;
    this.#searchedAt = now;
    const { runtime, link, sessionId, workspace, capabilities } = this.#parts;
    const [only] = alert.types.length === 1 ? alert.types : [];
    const input = { state: "queued", limit: maxListed, ...omitUndefined({ type: only }) } as const;
    const queued = await link.call("tasks.list", input, listTimeoutMs);
    const abilities = capabilities();
    const firstTask = (queued.ok ? queued.value.tasks : []).find(
      (task) =>
        (alert.types.length === 0 || alert.types.includes(task.type)) &&
        task.capabilities.every((one) => abilities.includes(one)),
    );
    if (!firstTask || this.#alert !== alert) return;
    const { task, type: title } = firstTask;
    const key = `available:${workspace}:${task}:${alert.at}`;
    news.notify(runtime, sessionId, key, { kind: "task_available", task, title });
    this.#alert = null;
  }
}

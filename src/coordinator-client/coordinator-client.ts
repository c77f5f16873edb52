import type { Health } from "../contract/chats.ts";
import { isTransient, type Failure } from "../contract/errors.ts";
import { itemFields } from "../contract/item-fields.ts";
import type {
  CallInput,
  CallName,
  OutputOf,
  CheckedInputOf,
  InputOf,
  ItemOf,
  PagedOperation,
  Pages,
} from "../contract/operations.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { fullJitter, repeat } from "../shared/async-work.ts";
import { ok, type Result, fail } from "../shared/result.ts";
import type { CoordinatorClient } from "./client.ts";
import { pause, untilAborted, type Platform, newId } from "./edge/platform.ts";
import { readClock, type Instant } from "./edge/trust.ts";

interface RepeatDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "setTimer" | "random">;
}

export interface RepeatOptions {
  readonly timeoutMs: number;
  readonly maxPauseMs: number;
  /** Aborted: the answer is not awaited any more. */
  readonly signal: AbortSignal;
  /** Aborted: the pause ends at once. */
  readonly wake?: () => AbortSignal;
  readonly isRetryable?: (error: Failure) => boolean;
}

export const gaveUpCode = "gave_up" satisfies Failure["code"];
const firstPauseMs = 500;

/** Repeats a call that takes effect once, until it is answered or given up. */
export async function callUntilAnswered<Name extends CallName>(
  { link, platform }: RepeatDeps,
  name: Name,
  input: CallInput<Name>,
  { timeoutMs, maxPauseMs, signal, wake, isRetryable = isTransient }: RepeatOptions,
): Promise<Result<OutputOf<Name>>> {
  const gaveUp: Result<never> = fail(gaveUpCode, "the report did not reach the coordinator: no answer");
  return repeat<Result<OutputOf<Name>>>(
    async () => (signal.aborted ? null : await untilAborted(link.call(name, input, timeoutMs), signal)) ?? gaveUp,
    (answer, attempt) => {
      const isFinal = answer.ok || answer === gaveUp || !isRetryable(answer.error);
      return isFinal ? null : pauseBeforeRetry(answer.error, attempt, maxPauseMs, platform.random);
    },
    (ms) => pause(platform, ms, wake ? AbortSignal.any([signal, wake()]) : signal),
  );
}

/** @param attempt how many have failed before, which lengthens the pause @returns ms */
export function pauseBeforeRetry(
  { retryAfterMs = 0 }: Failure,
  attempt: number,
  maxPauseMs: number,
  random: () => number,
): number {
  return retryAfterMs + fullJitter({ baseMs: firstPauseMs, capMs: maxPauseMs }, attempt, random);
}

type ChatStatus = Required<Pick<CheckedInputOf<"chats.heartbeat">, "status" | "taskCount" | "progress">>;

/** Skipped while another report is running. @param isForced sends even without a change */
export type ReportStatus = (state: ChatStatus, isForced: boolean) => Promise<void>;

/** A coordinator on another machine counts silence as absence. */
const reportEveryMs = 15_000;
const timeoutMs = 5_000;

/**
 * Sends a heartbeat on a change, and at intervals.
 *
 * @param repeatEveryMs after this time a state that has not changed is sent again
 */
export function statusReporter(
  link: CoordinatorClient,
  clock: Platform["clock"],
  health: () => Health,
  repeatEveryMs = reportEveryMs,
): ReportStatus {
  let last = { text: "", at: Number.NEGATIVE_INFINITY };
  let isReporting = false;
  return async (state, isForced) => {
    const text = JSON.stringify(state);
    const isDue = clock.monotonic() - last.at >= repeatEveryMs;
    if (isReporting || !(isForced || isDue || text !== last.text)) return;
    isReporting = true;
    const answer = await link.call("chats.heartbeat", { ...state, health: health() }, timeoutMs);
    isReporting = false;
    if (answer.ok) last = { text, at: clock.monotonic() };
  };
}

export interface ClaimResult {
  readonly tasks: readonly ClaimedTask[];
  readonly since: Instant;
  readonly error: Failure | null;
}

/** @param types empty: all */
export type Claim = (limit: number, types: readonly string[]) => Promise<ClaimResult>;

/** Repeats a lost request under its id, so tasks it already claimed are not orphaned. */
export function claimer(
  link: CoordinatorClient,
  platform: Pick<Platform, "clock" | "random">,
  timeoutMs = 30_000,
): Claim {
  let requestId: string | null = null;
  return async (limit, types) => {
    const since = readClock(platform.clock);
    requestId ??= newId(platform);
    const typeFilter = types.length > 0 ? { types: [...types] } : {};
    const answer = await link.call("tasks.claim", { requestId, limit, ...typeFilter, isStarted: true }, timeoutMs);
    if (answer.ok || !isTransient(answer.error)) requestId = null;
    return { tasks: answer.ok ? answer.value.claims : [], since, error: answer.ok ? null : answer.error };
  };
}

interface Caller<Name extends PagedOperation, E> {
  call(name: Name, input: InputOf<Name>): Result<OutputOf<Name>, E> | Promise<Result<OutputOf<Name>, E>>;
}

/**
 * Reads pages, of which a short one may not be the last.
 * Other fields come from the first page: a watch from its revision misses nothing.
 */
export async function fetchPages<Name extends PagedOperation, E>(
  link: Caller<NoInfer<Name>, E>,
  name: Name,
  input: InputOf<NoInfer<Name>>,
  { cursor, max = Infinity }: Pages = {},
): Promise<Result<OutputOf<Name>, E>> {
  // Half of the schemas that a host has, and many hosts ask no coordinator.
  const contract = await import("../contract/operations.ts");
  const perPage = contract.operations[name].input.shape.limit.unwrap().maxValue ?? 1;
  const field = itemFields[name];
  const ask = (size: number, from: string | undefined) =>
    link.call(name, { ...input, limit: size, ...omitUndefined({ cursor: from }) });
  const all: ItemOf<Name>[] = [];
  let first: OutputOf<Name> | null = null;
  let next: string | null = cursor ?? null;
  do {
    const answer = await ask(Math.min(max - all.length, perPage), next ?? undefined);
    if (!answer.ok) return answer;
    first ??= answer.value;
    const page = answer.value as PageOf<Name>;
    all.push(...page[field]);
    next = page.cursor;
  } while (next !== null && all.length < max);
  return ok({ ...first, [field]: all, cursor: next });
}

type PageOf<Name extends PagedOperation> = Record<(typeof itemFields)[Name], readonly ItemOf<Name>[]> & {
  readonly cursor: string | null;
};

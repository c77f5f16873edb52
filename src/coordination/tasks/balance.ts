import { compare } from "../../shared/compare.ts";
import { comparePerformance, initialPerformance, type Performance } from "../kernel/performance.ts";

/** Which chat gets a task, and what chats do at present. Pure: nothing is remembered between two choices. */

/** A live chat, as far as tasks are concerned. */
export interface ChatLoad {
  readonly chat: string;
  /** Tasks that it holds, started or not. */
  readonly running: number;
  /** Tasks that it takes at a time; 0 for one that takes none, such as a draining one. */
  readonly capacity: number;
  readonly capabilities: readonly string[];
}

export interface Candidate extends ChatLoad {
  /** With tasks of the type in question; null: it has had none. */
  readonly performance: Performance | null;
  /** Epoch ms; null: never. */
  readonly lastAssignedAt: number | null;
}

export interface TaskNeeds {
  readonly capabilities: readonly string[];
  /** The chat that it had better go to; less load counts more. */
  readonly affinity: string | null;
}

export type NoChatReason = "no_chat" | "no_capability" | "no_capacity";

/**
 * [PL12] Of the chats that have all capabilities and room: the one with the least load (running / capacity), then the one that the task wishes for,
 * then the one that is expected to do better, then the one without a new task for longest, then the first by name. A total order: the same answer
 * for any order of the candidates.
 *
 * @returns the chat, or why there is none
 */
export function selectChat(
  candidates: readonly Candidate[],
  task: TaskNeeds,
): { readonly chat: string } | { readonly chat: null; readonly why: NoChatReason } {
  if (candidates.length === 0) return { chat: null, why: "no_chat" };
  const capable = candidates.filter((candidate) => isCapable(candidate, task));
  if (capable.length === 0) return { chat: null, why: "no_capability" };
  const [best] = capable.filter(hasRoom).toSorted((a, b) => compareCandidates(a, b, task));
  return best ? { chat: best.chat } : { chat: null, why: "no_capacity" };
}

function compareCandidates(a: Candidate, b: Candidate, { affinity }: TaskNeeds): number {
  return (
    loadOf(a) - loadOf(b) ||
    Number(b.chat === affinity) - Number(a.chat === affinity) ||
    comparePerformance(a.performance ?? initialPerformance, b.performance ?? initialPerformance) ||
    (a.lastAssignedAt ?? 0) - (b.lastAssignedAt ?? 0) ||
    compare(a.chat, b.chat)
  );
}

export function isCapable({ capabilities }: ChatLoad, task: Pick<TaskNeeds, "capabilities">): boolean {
  return task.capabilities.every((needed) => capabilities.includes(needed));
}

/** Equal fractions are equal numbers: a division is rounded in one way only. */
export function loadOf({ running, capacity }: ChatLoad): number {
  return running / capacity;
}

export function hasRoom({ running, capacity }: ChatLoad): boolean {
  return running < capacity;
}

/** What is known of a chat within a window of time. */
export interface LoadSample {
  readonly chat: string;
  readonly running: number;
  readonly capacity: number;
  /** Attempts that ended well within the window, and that did not. */
  readonly done: number;
  readonly failed: number;
  /** The sum of all those attempts, from start to end. */
  readonly runMs: number;
  readonly windowMs: number;
}

export interface LoadMetrics {
  readonly chatId: string;
  readonly currentTasks: number;
  /** running / capacity, at most 1; 1 for a chat that takes none and still has some. */
  readonly utilizationRate: number;
  /** Tasks done in an hour. */
  readonly throughput: number;
  /** Of the attempts that ended, 0 to 1; null: none has. */
  readonly successRate: number | null;
  /** Null: no attempt has ended. */
  readonly avgDurationMs: number | null;
}

const hourMs = 3_600_000;

/** [PL14] One for each row, by the names of the chats. */
export function loadMetrics(rows: readonly LoadSample[]): LoadMetrics[] {
  return rows.map(toLoadMetrics).toSorted((a, b) => compare(a.chatId, b.chatId));
}

function toLoadMetrics({ chat, running, capacity, done, failed, runMs, windowMs }: LoadSample): LoadMetrics {
  const ended = done + failed;
  return {
    chatId: chat,
    currentTasks: running,
    utilizationRate: running === 0 ? 0 : Math.min(1, running / capacity),
    throughput: windowMs > 0 ? (done * hourMs) / windowMs : 0,
    successRate: ended > 0 ? done / ended : null,
    avgDurationMs: ended > 0 ? runMs / ended : null,
  };
}

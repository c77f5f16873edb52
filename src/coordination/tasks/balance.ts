import { compare } from "../../shared/compare.ts";
import { comparePerformance, initialPerformance, type Performance } from "../kernel/performance.ts";

export interface ChatLoad {
  readonly chat: string;
  readonly running: number;
  readonly capacity: number;
  readonly capabilities: readonly string[];
}

export interface Candidate extends ChatLoad {
  readonly performance: Performance | null;
  readonly lastAssignedAt: number | null;
}

export interface TaskNeeds {
  readonly capabilities: readonly string[];
  readonly affinity: string | null;
}

export type NoChatReason = "no_chat" | "no_capability" | "no_capacity";

/**
 * [PL12] Least load (running / capacity), then affinity, expected performance, longest time without
 * a new task, name. A total order, independent of the order of candidates.
 */
export function selectChat(
  candidates: readonly Candidate[],
  task: TaskNeeds,
): { readonly chat: string } | { readonly chat: null; readonly why: NoChatReason } {
  if (candidates.length === 0) return { chat: null, why: "no_chat" };
  const capable = candidates.filter((candidate) => isCapable(candidate, task));
  if (capable.length === 0) return { chat: null, why: "no_capability" };
  const [first, ...others] = capable.filter(hasRoom);
  const best = first && others.reduce((best, one) => (compareCandidates(one, best, task) < 0 ? one : best), first);
  return best ? { chat: best.chat } : { chat: null, why: "no_capacity" };
}

/** [PL12] Sorts the better first. */
export function compareCandidates(a: Candidate, b: Candidate, { affinity }: TaskNeeds): number {
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

export function loadOf({ running, capacity }: ChatLoad): number {
  return running / capacity;
}

export function hasRoom({ running, capacity }: ChatLoad): boolean {
  return running < capacity;
}

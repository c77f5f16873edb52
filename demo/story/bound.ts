import { stepsOf, tasks, type PlannedTask } from "./plan.ts";
import { waitOf, type Waits } from "./waits.ts";
import { nameOf } from "./work.ts";

export interface Bound {
  readonly aloneMs: number;
  /** Of the longest chain of tasks: with no death, and nothing said to the team. */
  readonly teamMs: number;
  readonly ratio: number;
}

/** What the drawn waits of the work alone allow. Pure. */
export function boundOf(waits: Waits): Bound {
  const known = new Map<string, Set<string>>();
  const ends = new Map<string, number>();
  for (const task of tasks) {
    const files = known.get(task.chat) ?? new Set<string>();
    known.set(task.chat, files);
    const before = [...task.dependsOn, task.chat].map((one) => ends.get(one) ?? 0);
    const end = Math.max(...before) + lengthOf(task, files, waits);
    ends.set(task.name, end).set(task.chat, end);
  }
  const teamMs = Math.max(...ends.values());
  const filesOfOne = new Set<string>();
  const aloneMs = tasks.reduce((sum, task) => sum + lengthOf(task, filesOfOne, waits), 0);
  return { aloneMs, teamMs, ratio: aloneMs / teamMs };
}

/** A file that the chat has read or changed is not read again. */
function lengthOf(task: PlannedTask, known: Set<string>, waits: Waits): number {
  const steps = stepsOf(task).filter((step) => step.kind !== "read" || !known.has(step.file));
  for (const step of steps) {
    if (step.kind === "read") known.add(step.file);
    if (step.kind === "edit") known.add(step.edit.file);
  }
  return steps.reduce((sum, step) => sum + waitOf(waits, nameOf(step)), 0);
}

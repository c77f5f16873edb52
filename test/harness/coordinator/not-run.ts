import { beforeEach, type RunnerTask } from "vitest";

/** Rules of this file that have no meaning for its host: whole names of tests, under the reason with which they are skipped. */
export function notRun(namesByReason: Readonly<Record<string, readonly string[]>>): void {
  const reasons = new Map(
    Object.entries(namesByReason).flatMap(([reason, names]) => names.map((name) => [name, reason] as const)),
  );
  beforeEach(({ task, skip }) => {
    const there = new Set(namesOf(task.file.tasks));
    const strange = [...reasons.keys()].filter((name) => !there.has(name));
    if (strange.length > 0) throw new Error(`there are no rules of these names: ${strange.join(", ")}`);
    const reason = reasons.get(task.name);
    if (reason !== undefined) skip(reason);
  });
}

function namesOf(tasks: readonly RunnerTask[]): string[] {
  return tasks.flatMap((one) => (one.type === "suite" ? namesOf(one.tasks) : one.name));
}

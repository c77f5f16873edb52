import type { Refusal } from "../../contract/errors.ts";
import type { NewTask } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as rows from "./task-rows.ts";

export interface PlannedTask {
  readonly input: NewTask;
  readonly task: number;
  readonly isDuplicate: boolean;
}

const maxChainLength = 100;

export interface Edges {
  readonly of: ReadonlyMap<number, readonly number[]>;
  readonly depths: ReadonlyMap<number, number>;
}

interface EdgeKind {
  readonly verb: string;
  readonly referencesOf: (input: NewTask) => readonly (number | string)[];
  readonly depthOf: (task: number) => number | null;
}

/** [TA11] Edges lead to existing tasks or into the submit; no cycles, no chains above 100. */
export function resolveEdges(
  fresh: readonly PlannedTask[],
  names: ReadonlyMap<string, number>,
  kind: EdgeKind,
): Result<Edges, Refusal> {
  // Most submits have no edges, and sorting none costs a tenth of a large one.
  if (fresh.every(({ input }) => kind.referencesOf(input).length === 0)) {
    return ok({ of: new Map(), depths: new Map(fresh.map(({ task }) => [task, 0])) });
  }
  const indexes = new Map(fresh.map(({ task }, at) => [task, at]));
  const storedDepths = new Map<number, number>();
  const of = new Map<number, readonly number[]>();
  for (const { input, task } of fresh) {
    const others = new Set<number>();
    for (const reference of kind.referencesOf(input)) {
      const found = resolveReference(
        reference,
        names,
        indexes,
        (other) => storedDepths.get(other) ?? kind.depthOf(other),
      );
      if (!found) return err(unknownReference(`${formatTask(input, task)} ${kind.verb}`, reference));
      if (found.depth !== null) storedDepths.set(found.other, found.depth);
      others.add(found.other);
    }
    of.set(task, [...others]);
  }
  const inside = fresh.map(({ task }) => (of.get(task) ?? []).flatMap((other) => indexes.get(other) ?? []));
  const result = sortTopologically(inside);
  if ("circle" in result) return err(badInput(`a cycle: ${formatCycle(fresh, result.circle, kind.verb)}`));
  return depthsOf(fresh, of, result.order, storedDepths, kind.verb);
}

function resolveReference(
  reference: number | string,
  names: ReadonlyMap<string, number>,
  indexes: ReadonlyMap<number, number>,
  depthOf: (task: number) => number | null,
): { other: number; depth: number | null } | null {
  const other = typeof reference === "string" ? names.get(reference) : reference;
  if (other === undefined) return null;
  if (typeof reference === "string" && indexes.has(other)) return { other, depth: null };
  const depth = depthOf(other);
  return depth === null ? null : { other, depth };
}

function unknownReference(who: string, reference: number | string): Refusal {
  if (typeof reference === "string")
    return badInput(`${who} "${reference}", which is not the ref of a task that is kept`);
  return { ...rows.unknownTask(reference), message: `${who} task ${reference}, which is unknown, or no longer kept` };
}

function depthsOf(
  fresh: readonly PlannedTask[],
  of: ReadonlyMap<number, readonly number[]>,
  order: readonly number[],
  storedDepths: ReadonlyMap<number, number>,
  verb: string,
): Result<Edges, Refusal> {
  const depths = new Map<number, number>();
  for (const at of order) {
    const one = fresh[at];
    if (!one) continue;
    const others = (of.get(one.task) ?? []).map((other) => depths.get(other) ?? storedDepths.get(other) ?? 0);
    const depth = others.length === 0 ? 0 : Math.max(...others) + 1;
    if (depth > maxChainLength) {
      return err(badInput(`${formatTask(one.input, one.task)} ${verb} a chain of more than ${maxChainLength} tasks`));
    }
    depths.set(one.task, depth);
  }
  return ok({ of, depths });
}

function formatCycle(fresh: readonly PlannedTask[], indexes: readonly number[], verb: string): string {
  const names = indexes.map((at) => {
    const one = fresh[at];
    return one ? formatTask(one.input, one.task) : "";
  });
  return [...names, names[0]].join(` ${verb} `);
}

function formatTask({ ref, type }: NewTask, task: number): string {
  return ref === undefined ? `task ${task} (${type})` : `"${ref}"`;
}

export function badInput(message: string): Refusal {
  return { code: "bad_input", message: `tasks.submit: ${message}` };
}

function sortTopologically(needs: readonly (readonly number[])[]): { order: number[] } | { circle: number[] } {
  const dependents: number[][] = needs.map(() => []);
  const openCounts = needs.map((dependencies, at) => {
    for (const one of dependencies) dependents[one]?.push(at);
    return dependencies.length;
  });
  const order = [...needs.keys()].filter((at) => openCounts[at] === 0);
  // Grows during the loop.
  for (const at of order) {
    for (const next of dependents[at] ?? []) {
      openCounts[next] = (openCounts[next] ?? 0) - 1;
      if (openCounts[next] === 0) order.push(next);
    }
  }
  return order.length === needs.length ? { order } : { circle: findCycle(needs, openCounts) };
}

/** Every remaining index needs a remaining one, so a walk returns to itself. */
function findCycle(needs: readonly (readonly number[])[], openCounts: readonly number[]): number[] {
  const path: number[] = [];
  let at = openCounts.findIndex((count) => count > 0);
  while (!path.includes(at)) {
    path.push(at);
    at = needs[at]?.find((one) => (openCounts[one] ?? 0) > 0) ?? at;
  }
  return path.slice(path.indexOf(at));
}

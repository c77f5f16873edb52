import type { OutputOf } from "../contract/operations.ts";

/** Pure. A job's tasks in columns: each to the right of all that it depends on. */

export type PlanTask = OutputOf<"tasks.tree">["tasks"][number];

interface PlanNode {
  readonly task: PlanTask;
  readonly column: number;
  readonly row: number;
}

export interface PlanLayout {
  readonly nodes: readonly PlanNode[];
  readonly edges: readonly { readonly from: PlanNode; readonly to: PlanNode }[];
  readonly columns: number;
  readonly rows: number;
  /** Numbers of the tasks of the critical path, in their order: see {@link criticalPath}. */
  readonly critical: readonly number[];
}

export function layOut(tasks: readonly PlanTask[]): PlanLayout {
  const byNumber = new Map(tasks.map((one) => [one.task, one]));
  const columnOf = new Map<number, number>();
  // A submit refuses cycles, and a dependency may be numbered above its task.
  const findColumn = (task: PlanTask, above: ReadonlySet<number>): number => {
    const known = columnOf.get(task.task);
    if (known !== undefined) return known;
    const below = new Set(above).add(task.task);
    const before = task.dependsOn.flatMap((number) => (below.has(number) ? [] : (byNumber.get(number) ?? [])));
    const column = Math.max(-1, ...before.map((one) => findColumn(one, below))) + 1;
    columnOf.set(task.task, column);
    return column;
  };
  const filled: number[] = [];
  const nodes = tasks.map((task) => {
    const column = findColumn(task, new Set());
    const row = filled[column] ?? 0;
    filled[column] = row + 1;
    return { task, column, row };
  });
  const nodeOf = new Map(nodes.map((node) => [node.task.task, node]));
  const edges = nodes.flatMap((to) =>
    to.task.dependsOn.flatMap((number) => {
      const from = nodeOf.get(number);
      return from ? [{ from, to }] : [];
    }),
  );
  const critical = criticalPath(nodes.toSorted((a, b) => a.column - b.column).map(({ task }) => task));
  return { nodes, edges, columns: filled.length, rows: Math.max(0, ...filled), critical };
}

const ended: ReadonlySet<PlanTask["state"]> = new Set(["done", "dead", "cancelled"]);

/**
 * The longest chain of tasks that have not ended: the job takes at least as long as they do. Empty
 * where no task waits for another.
 *
 * @param tasks each after all that it depends on
 */
function criticalPath(tasks: readonly PlanTask[]): number[] {
  const chains = new Map<number, readonly number[]>();
  for (const { task, state, dependsOn } of tasks) {
    const before = dependsOn.map((number) => chains.get(number) ?? []);
    const longest = before.reduce((best, one) => (one.length > best.length ? one : best), []);
    chains.set(task, ended.has(state) ? longest : [...longest, task]);
  }
  const all = [...chains.values()];
  const longest = all.reduce((best, one) => (one.length > best.length ? one : best), []);
  return longest.length > 1 ? [...longest] : [];
}

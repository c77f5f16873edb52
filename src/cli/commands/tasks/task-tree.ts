import { oneLine } from "../../../shared/format.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { TaskState } from "../../../contract/tasks.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

type TreeNode = OutputOf<"tasks.tree">["tasks"][number];

const maxNodes = 1_000;
const openStates: readonly TaskState[] = ["blocked", "scheduled", "queued", "assigned", "running"];

export async function showTaskTree(cli: Cli, link: Workspace, task: number | null): Promise<CommandResult> {
  const graph = new TaskGraph(link);
  const startTasks = task === null ? await openTasks(link) : ok([task]);
  if (!startTasks.ok) return startTasks;
  for (const one of startTasks.value) {
    const read = await graph.read(one);
    if (!read.ok) return read;
  }
  const roots = task === null ? graph.findRoots(startTasks.value) : [task];
  const tasks = graph.list();
  const more = graph.isCut ? `There are more than ${maxNodes} tasks; the rest is left out.\n` : "";
  const text = roots.length === 0 ? `No task is open at ${link.where}.\n` : graph.draw(roots);
  return ok({ data: { roots, tasks, isMore: graph.isCut }, text: text + more });
}

async function openTasks(link: Workspace): Promise<CliResult<number[]>> {
  const taskNumbers: number[] = [];
  for (const state of openStates) {
    // One more than is shown, so that a cut is noticed.
    const max = maxNodes + 1 - taskNumbers.length;
    if (max <= 0) break;
    const listed = await link.list("tasks.list", { state }, { max });
    if (!listed.ok) return listed;
    taskNumbers.push(...listed.value.tasks.map((one) => one.task));
  }
  return ok(taskNumbers.toSorted((a, b) => a - b));
}

class TaskGraph {
  readonly #link: Workspace;
  readonly #nodes = new Map<number, TreeNode | null>();
  isCut = false;

  constructor(link: Workspace) {
    this.#link = link;
  }

  async read(task: number): Promise<CliResult<null>> {
    const todo = [task];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (this.#nodes.has(next)) continue;
      if (this.#nodes.size >= maxNodes) {
        this.isCut = true;
        break;
      }
      const found = await this.#link.call("tasks.tree", { task: next, limit: maxNodes });
      if (!found.ok && (found.error.code !== "unknown_task" || next === task)) return found;
      if (!found.ok) this.#nodes.set(next, null);
      else todo.push(...this.#addNodes(found.value));
    }
    return ok(null);
  }

  /** Finds the tasks that no other shown task waits for or has as a part. */
  findRoots(open: readonly number[]): number[] {
    const tasks = open.filter((one) => this.#nodes.has(one));
    const below = new Set([...this.#nodes.keys()].flatMap((one) => this.#children(one)));
    const roots = tasks.filter((one) => !below.has(one));
    const reached = new Set<number>();
    for (const root of roots) this.#collect(root, reached);
    // A parent that is also a dependency of its part: each is below the other.
    for (const one of tasks) {
      if (reached.has(one)) continue;
      roots.push(one);
      this.#collect(one, reached);
    }
    return roots;
  }

  #collect(task: number, reached: Set<number>): void {
    if (reached.has(task)) return;
    reached.add(task);
    for (const one of this.#children(task)) this.#collect(one, reached);
  }

  list(): unknown[] {
    return [...this.#nodes].map(([task, node]) =>
      Object.assign({ task, state: null, below: this.#children(task) }, node),
    );
  }

  draw(roots: readonly number[]): string {
    const drawn = new Set<number>();
    return roots.map((root) => this.#draw(root, drawn, "", "")).join("");
  }

  #addNodes({ tasks, isMore }: OutputOf<"tasks.tree">): number[] {
    this.isCut ||= isMore;
    for (const node of tasks) this.#nodes.set(node.task, node);
    return tasks.flatMap(({ dependsOn }) => dependsOn);
  }

  #children(task: number): number[] {
    const parts = [...this.#nodes.values()].filter((one) => one?.parent === task).flatMap((one) => one?.task ?? []);
    return [...new Set([...(this.#nodes.get(task)?.dependsOn ?? []), ...parts])].toSorted((a, b) => a - b);
  }

  #draw(task: number, drawn: Set<number>, lead: string, indent: string): string {
    const below = this.#children(task);
    const isAgain = drawn.has(task);
    drawn.add(task);
    const line = `${lead}${this.#line(task)}${isAgain && below.length > 0 ? " (see above)" : ""}\n`;
    if (isAgain) return line;
    const inner = below.map((one, at) => {
      const isLast = at === below.length - 1;
      return this.#draw(one, drawn, `${indent}${isLast ? "└─ " : "├─ "}`, `${indent}${isLast ? "   " : "│  "}`);
    });
    return line + inner.join("");
  }

  #line(task: number): string {
    const node = this.#nodes.get(task);
    if (!node) return `${task} no longer kept`;
    const ref = node.ref === null ? "" : ` (${oneLine(node.ref, 60)})`;
    return `${task} ${node.type}${ref}: ${node.state}`;
  }
}

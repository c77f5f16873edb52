import type { OutputOf } from "../../contract/operations.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { oneLine } from "../screen-text.ts";

type Node = OutputOf<"tasks.tree">["tasks"][number];
type Answered<T> = Result<T, Refused["error"]>;

const mostNodes = 1_000;
const mostInPage = 200;
const open: readonly TaskState[] = ["blocked", "scheduled", "queued", "assigned", "running"];

/** [CL107] What a task, or every open one, waits for or is made of. */
export async function showTaskTree(cli: Cli, link: Coordination, task: number | null): Promise<Outcome> {
  const graph = new TaskGraph(link);
  const wanted = task === null ? await openTasks(link) : ok([task]);
  if (!wanted.ok) return wanted;
  for (const one of wanted.value) {
    const read = await graph.read(one);
    if (!read.ok) return read;
  }
  const roots = task === null ? graph.rootsOf(wanted.value) : [task];
  const tasks = graph.list();
  const more = graph.isCut ? `There are more than ${mostNodes} tasks; the rest is left out.\n` : "";
  const text = roots.length === 0 ? `No task is open at ${link.where}.\n` : graph.draw(roots);
  return ok({ data: { roots, tasks, isMore: graph.isCut }, text: text + more });
}

async function openTasks(link: Coordination): Promise<Answered<number[]>> {
  const found: number[] = [];
  for (const state of open) {
    for (let cursor: string | null = ""; cursor !== null && found.length < mostNodes;) {
      const at: { cursor?: string } = cursor === "" ? {} : { cursor };
      const page: Answered<OutputOf<"tasks.list">> = await link.call("tasks.list", { state, limit: mostInPage, ...at });
      if (!page.ok) return page;
      found.push(...page.value.tasks.map((one) => one.task));
      ({ cursor } = page.value);
    }
  }
  return ok(found.toSorted((a, b) => a - b));
}

class TaskGraph {
  readonly #link: Coordination;
  /** Null: it is no longer kept. */
  readonly #nodes = new Map<number, Node | null>();
  isCut = false;

  constructor(link: Coordination) {
    this.#link = link;
  }

  /** The task with all below it, and all that these wait for. */
  async read(task: number): Promise<Answered<null>> {
    const todo = [task];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (this.#nodes.has(next)) continue;
      if (this.#nodes.size >= mostNodes) {
        this.isCut = true;
        break;
      }
      const found = await this.#link.call("tasks.tree", { task: next, limit: mostNodes });
      if (!found.ok && (found.error.code !== "unknown_task" || next === task)) return found;
      if (!found.ok) this.#nodes.set(next, null);
      else todo.push(...this.#keep(found.value));
    }
    return ok(null);
  }

  /** Those that no other one shown waits for or has as a part. */
  rootsOf(tasks: readonly number[]): number[] {
    const below = new Set([...this.#nodes.keys()].flatMap((one) => this.#below(one)));
    const roots = tasks.filter((one) => !below.has(one));
    const reached = new Set<number>();
    for (const root of roots) this.#reach(root, reached);
    // Two that have each other, as parent and as dependency, are below each other.
    for (const one of tasks) {
      if (reached.has(one)) continue;
      roots.push(one);
      this.#reach(one, reached);
    }
    return roots;
  }

  #reach(task: number, reached: Set<number>): void {
    if (reached.has(task)) return;
    reached.add(task);
    for (const one of this.#below(task)) this.#reach(one, reached);
  }

  list(): unknown[] {
    return [...this.#nodes].map(([task, node]) => Object.assign({ task, state: null, below: this.#below(task) }, node));
  }

  draw(roots: readonly number[]): string {
    const drawn = new Set<number>();
    return roots.map((root) => this.#draw(root, drawn, "", "")).join("");
  }

  #keep({ tasks, isMore }: OutputOf<"tasks.tree">): number[] {
    this.isCut ||= isMore;
    for (const node of tasks) this.#nodes.set(node.task, node);
    return tasks.flatMap(({ dependsOn }) => dependsOn);
  }

  #below(task: number): number[] {
    const parts = [...this.#nodes.values()].filter((one) => one?.parent === task).flatMap((one) => one?.task ?? []);
    return [...new Set([...(this.#nodes.get(task)?.dependsOn ?? []), ...parts])].toSorted((a, b) => a - b);
  }

  #draw(task: number, drawn: Set<number>, lead: string, indent: string): string {
    const below = this.#below(task);
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

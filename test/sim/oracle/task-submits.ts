import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { Answered } from "./answered.ts";
import type { TaskLedger } from "./task-ledger.ts";

interface Key {
  readonly task: number;
  readonly until: number;
}

/** What is accepted and what is refused, and that nothing is accepted twice. */
export class TaskSubmits {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly #keys = new Map<string, Key>();
  /** Answers as JSON. */
  readonly #known: Answered<string>;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#known = new Answered(sim);
    this.#ledger = ledger;
  }

  /** Before the ledger has read it. @returns what is looked at after it */
  committed(input: CheckedInputOf<"tasks.submit">, result: Reply): () => void {
    const id = input.requestId === undefined ? null : `${input.by} ${input.requestId}`;
    const first = this.#known.get(id);
    if (first !== undefined) return () => this.#repeated(first, result);
    if (!result.ok) return () => this.#refused(input, result.error.code);
    const { tasks } = result.value as OutputOf<"tasks.submit">;
    this.#known.add(id, JSON.stringify(tasks));
    this.#keyed(input, tasks);
    for (const { task, isDuplicate } of tasks) if (!isDuplicate) this.#ledger.numbered(task);
    return () => this.#told(tasks);
  }

  #repeated(answer: string, result: Reply): void {
    this.#sim.count("submit repeated");
    const isSame = result.ok && JSON.stringify((result.value as OutputOf<"tasks.submit">).tasks) === answer;
    this.#sim.must(isSame, "requests", () => `a submit was repeated, and answered with ${JSON.stringify(result)}`);
  }

  /** A key that is known stands for its task. */
  #keyed({ tasks: inputs }: CheckedInputOf<"tasks.submit">, told: OutputOf<"tasks.submit">["tasks"]): void {
    const sim: Sim = this.#sim;
    for (const [place, { dedupeKey: key }] of inputs.entries()) {
      const { task = 0, isDuplicate = false } = told[place] ?? {};
      if (key === undefined) {
        sim.must(!isDuplicate, "task", () => `task ${task} counts as known and has no key`);
        continue;
      }
      const known = this.#keys.get(key);
      const isSame = isDuplicate ? known?.task === task : !this.#isKept(known);
      sim.must(isSame, "task", () => `key ${key} of task ${known?.task} was answered with task ${task}`);
      if (isDuplicate) sim.count("submit of a known key");
      else this.#keys.set(key, { task, until: sim.hostNow + this.#ledger.settings().keepDedupeMs });
    }
  }

  /** At least as long as its task, and for its time. */
  #isKept(key: Key | undefined): key is Key {
    return key !== undefined && (key.until > this.#sim.hostNow || this.#ledger.tasks.has(key.task));
  }

  #refused({ tasks }: CheckedInputOf<"tasks.submit">, code: string): void {
    if (code === "duplicate_task") {
      const isKnown = (key: string, place: number): boolean =>
        this.#keys.has(key) || tasks.slice(0, place).some(({ dedupeKey }) => dedupeKey === key);
      const isRight = tasks.some(
        ({ dedupeKey: key, onDuplicate }, place) =>
          onDuplicate === "reject" && key !== undefined && isKnown(key, place),
      );
      return this.#sim.must(isRight, "task", () => "a submit was refused for a key that nobody knows");
    }
    if (code === "unknown_task") {
      const numbers = tasks
        .flatMap(({ dependsOn, parent }) => [...dependsOn, parent])
        .filter((one) => typeof one === "number");
      const isRight = numbers.some((one) => !this.#ledger.tasks.has(one));
      return this.#sim.must(isRight, "task", () => "a submit was refused for a task that is known");
    }
    if (code === "quota_exceeded") {
      const most = 2 * this.#ledger.settings().maxTasks;
      const isRight = this.#ledger.tasks.size + tasks.length > most;
      return this.#sim.must(isRight, "task", () => `refused at ${this.#ledger.tasks.size} tasks of ${most}`);
    }
    if (code !== "bad_input") return;
    this.#sim.must(isCircle(tasks), "task", () => "a submit was refused as a circle, and is none");
    this.#sim.count("circle refused");
  }

  #told(tasks: OutputOf<"tasks.submit">["tasks"]): void {
    for (const { task, state } of tasks) {
      const is = this.#ledger.tasks.get(task)?.state ?? null;
      this.#sim.must(is === state, "task", () => `task ${task} is ${is}, and was told as ${state}`);
    }
  }

  replayed({ task, payload }: CheckedInputOf<"tasks.replay">, result: Reply): () => void {
    const known = task === undefined ? undefined : this.#ledger.tasks.get(task);
    const isDead = known?.state === "dead" && known.reason !== "discarded";
    if (result.ok && isDead && payload !== undefined) known.payload = JSON.stringify(payload);
    return () => {
      if (!result.ok) return;
      for (const told of (result.value as OutputOf<"tasks.replay">).tasks) {
        this.#sim.count("replayed");
        const is = this.#ledger.tasks.get(told.task)?.state;
        this.#sim.must(is === told.state, "task", () => `task ${told.task} is ${is}, and was told as ${told.state}`);
      }
    };
  }
}

/** The simulation's circles: a task that waits, in the end, for itself. */
function isCircle(tasks: CheckedInputOf<"tasks.submit">["tasks"]): boolean {
  const byRef = new Map(tasks.map((one) => [one.ref, one]));
  const reaches = (from: CheckedInputOf<"tasks.submit">["tasks"][number], seen: ReadonlySet<unknown>): boolean =>
    from.dependsOn.some((ref) => {
      const next = typeof ref === "string" ? byRef.get(ref) : undefined;
      return next !== undefined && (seen.has(next) || reaches(next, new Set([...seen, next])));
    });
  return tasks.some((one) => reaches(one, new Set([one])));
}

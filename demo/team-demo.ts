import { join } from "node:path";
import type { InputOf, OutputOf } from "../src/contract/operations.ts";
import { pollUntil, type Check } from "./scene.ts";
import { messageOf } from "../src/shared/error.ts";
import { LocalEdge, startEdge } from "../scripts/local-edge.ts";
import * as shop from "./shop.ts";
import { checksOf, type Facts } from "./team-checks.ts";
import { TeamScene, TeamWorker } from "./team-worker.ts";

export interface TeamOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The Node of all programs. */
  readonly node: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Told of each step when it begins. */
  readonly tell: (text: string) => void;
  /** Aborted: nothing new is begun. */
  readonly signal: AbortSignal;
}

export interface TeamResult {
  /** Whether every check holds. */
  readonly isComplete: boolean;
  readonly checks: readonly Check[];
  /** Milliseconds, measured in this run. */
  readonly times: {
    /** From kill -9 of the worker until its task is queued again, by the coordinator's record. */
    readonly queuedAgain: number;
    /** From kill -9 of the runtime until it answers. */
    readonly runtimeBack: number;
    /** From the submit before a consumer that throws to the end of the last task. */
    readonly throughFailures: number;
    readonly all: number;
  };
}

type Edited = OutputOf<"tasks.get">;

/** Longest wait for what other processes do, in ms. */
const patienceMs = 120_000;
const pollMs = 50;
const failingBatches = 3;
const names = ["backend", "frontend", "tests"] as const;

/**
 * Three workers share six tasks over the real runtime, while a worker, the runtime and the queue's consumer fail.
 * The result says what was found wrong; close() leaves no process and no file.
 */
export class TeamDemo {
  readonly scene: TeamScene;
  readonly #options: TeamOptions;
  readonly #workers: TeamWorker[] = [];
  readonly #log: string[] = [];
  #edge: LocalEdge | null = null;

  constructor(options: TeamOptions) {
    this.#options = options;
    this.scene = new TeamScene(options.env);
  }

  get edge(): LocalEdge {
    if (!this.#edge) throw new Error("the runtime was not started");
    return this.#edge;
  }

  /** @throws {Error} when something does not happen in time, with what the workers and the runtime have said */
  async run(): Promise<TeamResult> {
    try {
      return await this.#story();
    } catch (error) {
      this.#options.signal.throwIfAborted();
      const said = this.#workers.flatMap(({ name, stderr }) => (stderr ? [`${name}: ${stderr.trim()}`] : []));
      throw new Error([messageOf(error), ...said, ...this.#log.slice(-20)].join("\n"), { cause: error });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end(5_000)));
    await this.#edge?.close();
    await this.#quiet();
    this.scene.remove();
  }

  async #story(): Promise<TeamResult> {
    const startedAt = performance.now();
    const { node, tell } = this.#options;
    this.scene.make(node);
    const before = this.scene.tests(node, "main");
    tell(
      `A git project with ${before.passed + before.failed} tests, of which ${before.failed} fail; a coordinator under workerd.`,
    );
    const chats = await this.#start();
    const tasks = await this.#submit(this.#firstTasks(chats));
    const frontend = tasks[1] ?? -1;
    const killed = await this.#killWorker(frontend, chats);
    const rescued = await this.#rescued(frontend, killed.chat);
    const runtime = await this.#killRuntime(frontend);
    await this.#done(tasks);
    const last = await this.#whileTheQueueFails(tasks);
    tell("All tasks have ended; the workers are asked to end.");
    const codes = await this.#endWorkers();
    const all = [...tasks, ...last.tasks];
    const left = await this.#quiet().then(
      () => [],
      () => this.#left,
    );
    const facts: Facts = { before, killed, rescued, runtime, failed: last.failed, codes, left };
    const checks = await checksOf(this.edge, this.scene, node, all, facts);
    return {
      isComplete: checks.every(({ holds }) => holds),
      checks,
      times: {
        queuedAgain: killed.queuedAgainMs,
        runtimeBack: runtime.backMs,
        throughFailures: last.ms,
        all: performance.now() - startedAt,
      },
    };
  }

  /** @returns the chat of each worker */
  async #start(): Promise<readonly string[]> {
    const { node, tell } = this.#options;
    const entry = join(import.meta.dirname, "failing-queue-worker.ts");
    const log = (line: string): void => void this.#log.push(line);
    this.#edge = new LocalEdge(await startEdge({ entry, folder: this.scene.runtime, log }));
    const { url, workspace } = this.#edge;
    const { token } = await this.#edge.call("tokens.create", { machine: "demo", scope: "work" });
    this.scene.join({ url, workspace, machine: "demo", token });
    this.#options.signal.throwIfAborted();
    for (const name of names) this.#workers.push(new TeamWorker(name, node, this.scene));
    const chats = await Promise.all(this.#workers.map(({ registered }) => registered));
    const pids = this.#workers.map(({ name, pid }) => `${name} (${pid})`);
    tell(`Three \`shim worker\` processes have joined: ${pids.join(", ")}.`);
    return chats;
  }

  /** Three refactorings, each wished to a worker, and a test that waits for the first of them. */
  #firstTasks(chats: readonly string[]): InputOf<"tasks.submit">["tasks"] {
    const refactorings = shop.areas.map((area, n) => {
      const { edits, pauses } = shop.refactors[area];
      return { type: "refactor", ref: area, payload: { edits: [...edits], pauses: [...pauses] }, affinity: chats[n] };
    });
    return [...refactorings, { type: "test", payload: { folders: ["backend"] }, dependsOn: ["backend"] }];
  }

  async #submit(tasks: InputOf<"tasks.submit">["tasks"]): Promise<number[]> {
    const submitted = await this.edge.call("tasks.submit", { tasks });
    const numbers = submitted.tasks.map(({ task }) => task);
    this.#options.tell(`Tasks ${numbers.join(", ")} are submitted.`);
    return numbers;
  }

  async #killWorker(task: number, chats: readonly string[]): Promise<Facts["killed"]> {
    const { now, tell } = this.#options;
    const { chat } = await this.#edited(task, shop.pauses.worker);
    const victim = this.#workers[chats.indexOf(chat ?? "")];
    if (!chat || !victim) throw new Error(`task ${task} is assigned to ${chat}, which is not a worker of the demo`);
    const { settings } = await this.edge.call("settings.get", {});
    tell(`kill -9 of ${victim.name}, which has done ${shop.pauses.worker} edits of task ${task} ...`);
    const killedAt = now();
    victim.kill();
    const endedAgeMs = await this.#until("the task of the dead worker is queued again", async () => {
      const { attempts } = await this.edge.call("tasks.history", { task });
      return attempts.find(({ end }) => end === "chat_offline")?.endedAgeMs ?? null;
    });
    const queuedAgainMs = now() - endedAgeMs - killedAt;
    tell(`Task ${task} was queued again ${queuedAgainMs} ms after the kill.`);
    return { chat, queuedAgainMs, graceMs: settings.workerGraceMs, ttlMs: settings.chatTtlMs };
  }

  /** Somebody else has it, and has done one more edit. */
  async #rescued(task: number, deadChat: string): Promise<Facts["rescued"]> {
    const { chat } = await this.#edited(task, shop.pauses.runtime);
    if (chat === deadChat || chat === null) throw new Error(`task ${task} is with ${chat}`);
    return { task, chat };
  }

  async #killRuntime(task: number): Promise<Facts["runtime"]> {
    this.#options.tell(`Another worker continued from there. kill -9 of workerd, in the middle of that ...`);
    const startedAt = performance.now();
    const killed = this.edge.kill();
    this.scene.resumeTask(task, shop.pauses.runtime);
    await this.edge.isBack();
    const backMs = performance.now() - startedAt;
    this.#options.tell(`The coordinator is back with all its state, after ${Math.round(backMs)} ms.`);
    return { killed, backMs };
  }

  async #whileTheQueueFails(before: readonly number[]): Promise<{ tasks: number[]; failed: number; ms: number }> {
    const { tell } = this.#options;
    // One is enough: a client that found HTTP back before sockets goes without one for a while.
    await this.#until("a worker waits for tasks", async () => {
      const { chats } = await this.edge.call("chats.list", {});
      return chats.some(({ isConnected, status }) => isConnected && status === "idle") || null;
    });
    tell(`The queue's consumer now throws, up to ${failingBatches} times.`);
    await this.#batches(failingBatches);
    const startedAt = performance.now();
    const [first = -1, second = -1, third = -1] = before;
    const dependsOn = [first, second, third];
    // With tasks of so many types a request leaves the assigning to the queue.
    const others = Array.from({ length: 21 }, (_, n) => ({ type: `paint-${n}` }));
    const { tasks: waiting } = await this.edge.call("tasks.submit", { tasks: others });
    const tasks = await this.#submit([
      { type: "test", payload: { folders: ["frontend"] }, dependsOn: [second] },
      // A whole job: its work is on a branch of its own, once the tests of the project have passed there.
      { type: "test", payload: { job: { title: "the shop" }, folders: [...shop.areas] }, dependsOn },
    ]);
    await this.#done(tasks);
    const ms = performance.now() - startedAt;
    // A worker that asks by itself may have the tasks before. What the queue has not brought the alarm assigns.
    const failed = await this.#until("the consumer has thrown", async () => (await this.#batches()).failed || null);
    for (const { task } of waiting)
      await this.edge.call("tasks.cancel", { task, reason: "nobody of this demo paints" });
    tell(`The consumer has thrown ${failed} times; the tasks were done anyway, after ${Math.round(ms)} ms.`);
    return { tasks, failed, ms };
  }

  /** How many batches have failed. @param more so many shall */
  async #batches(more?: number): Promise<{ readonly failed: number }> {
    const url = `${this.edge.url}/failing-batches`;
    const headers = { authorization: `Bearer ${this.edge.adminSecret}` };
    const answer = await fetch(url, more === undefined ? { headers } : { method: "POST", body: String(more), headers });
    return (await answer.json()) as { failed: number };
  }

  /** Until it runs, with so many edits done. */
  #edited(task: number, edits: number): Promise<Edited> {
    return this.#until(`${edits} edits of task ${task} are done`, async () => {
      const found = await this.edge.call("tasks.get", { task });
      const { done } = (found.checkpoint ?? {}) as { done?: number };
      return done === edits && found.state === "running" ? found : null;
    });
  }

  #done(tasks: readonly number[]): Promise<true> {
    return this.#until(`tasks ${tasks.join(", ")} are done`, async () => {
      const found = await Promise.all(tasks.map((task) => this.edge.call("tasks.get", { task })));
      const dead = found.find(({ state }) => state === "dead");
      if (dead) throw new Error(`task ${dead.task} is dead: ${dead.detail}`);
      return found.every(({ state }) => state === "done") || null;
    });
  }

  /** @returns the exit codes of those that were still there */
  async #endWorkers(): Promise<readonly (number | null)[]> {
    const alive = this.#workers.filter(({ isAlive }) => isAlive);
    return Promise.all(alive.map((worker) => worker.end(patienceMs)));
  }

  /** Keepers end what a dead worker has left, and then themselves. */
  #quiet(): Promise<true> {
    return this.#until("all processes have ended", () => this.#left.length === 0 || null, new AbortController().signal);
  }

  get #left(): readonly number[] {
    return this.#workers.flatMap((worker) => worker.left().map(({ pid }) => pid));
  }

  #until<T>(what: string, find: () => Promise<T | null> | T | null, signal = this.#options.signal): Promise<T> {
    return pollUntil(what, find, { maxMs: patienceMs, everyMs: pollMs, signal });
  }
}

import { onTestFinished } from "vitest";
import type { Json } from "#src/contract/values.ts";
import { type CoordinatorClient, WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import type { TaskSetup, WorkerEvent } from "#src/runner/worker/attempt.ts";
import type { Executor, RunOutcome, TaskRun, FinishedWork, TaskFolder } from "#src/runner/worker/executor.ts";
import { WorkerAutomation, type WorkerOptions } from "#src/runner/worker/worker-automation.ts";
import { callsOf, LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { given } from "#harness/coordinator/peers.ts";
import { FakeTime, Machine, seededRandom } from "#harness/clock/fake-time.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { tempHome } from "#harness/store/store-test.ts";
import type { Usage } from "#src/contract/budgets.ts";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";

type AnAttempt = Readonly<{ run: TaskRun; end: (outcome: RunOutcome) => void }>;

/** Does nothing by itself: the test says what comes of a task. */
class FakeExecutor implements Executor {
  readonly attempts: AnAttempt[] = [];

  run(run: TaskRun): Promise<RunOutcome> {
    return new Promise((resolve) => {
      run.signal.addEventListener("abort", () => resolve({ kind: "stopped" }), { once: true });
      this.attempts.push({ run, end: resolve });
    });
  }

  get last(): AnAttempt {
    const last = this.attempts.at(-1);
    if (!last) throw new Error("nothing was begun");
    return last;
  }
}

/** A folder that is none; it tells what was done with it. */
class FakeTaskFolder implements TaskFolder {
  readonly folder = "/somewhere";
  readonly isContinued = false;
  readonly notes = [];
  readonly merged = { tasks: [], conflicts: [] };
  readonly base = null;
  isNew = false;
  readonly done: string[] = [];
  commits = 0;

  location(): { commit: number } {
    return { commit: this.commits };
  }

  /** How long it takes to keep what is there. */
  saving: Promise<void> = Promise.resolve();

  async save(): Promise<void> {
    await this.saving;
    this.commits += 1;
    this.done.push("saved");
  }

  problem: string | null = null;
  /** Why its work cannot be saved. */
  failure: Error | null = null;

  async finish(): Promise<FinishedWork> {
    this.done.push("finished");
    if (this.failure) throw this.failure;
    return { work: null, problem: this.problem, note: null };
  }

  release(isOpen: boolean): Promise<null> {
    this.done.push(isOpen ? "left open" : "left");
    return Promise.resolve(null);
  }
}

export type WorkerAtWork = ReturnType<WorkerRig["worker"]>;

export interface RigOptions extends Partial<Omit<WorkerOptions, "setups" | "chat">> {
  readonly types?: readonly string[];
  readonly capabilities?: readonly string[];
}

export function startWorker(
  { machine, name, link, process }: { machine: Machine; name: string; link: CoordinatorClient; process: string },
  { types = ["build"], capabilities = [], ...options }: RigOptions = {},
) {
  const executor = new FakeExecutor();
  const place = new FakeTaskFolder();
  const setup: TaskSetup = { executor, folders: { open: () => Promise.resolve(place) } };
  const usual = { concurrency: 1, maxTasks: null, isOnce: false, drainMs: 60_000 };
  const events: WorkerEvent[] = [];
  const outputs: string[] = [];
  const worker = new WorkerAutomation(
    {
      chat: { chat: name, session: name, process, machine: "m1", client: "test", capabilities: [...capabilities] },
      setups: new Map(types.map((type) => [type, setup])),
      ...usual,
      ...options,
    },
    {
      link,
      platform: { clock: machine.clock, setTimer: machine.setTimer, random: seededRandom(1) },
      health: () => ({ cpu: 0.5, memory: 0.25, uptimeMs: 1_000 }),
      emit: (event) => events.push(event),
      keepOutput: (_task, text) => outputs.push(text),
    },
  );
  const ended = worker.run();
  onTestFinished(() => worker.stopNow("the test is over"));
  return { worker, executor, place, events, outputs, machine, ended };
}

/** The coordinator of one machine, and workers on it, in a time that only the test moves. */
export class WorkerRig {
  readonly time = new FakeTime();
  readonly processes = new FakeProcesses();
  readonly #home = tempHome().home;
  readonly #clock = new Machine(this.time).clock;
  readonly #own = this.#open();
  #pid = 100;

  #open(): LocalCoordinator {
    const now = (): number => Math.floor(this.#clock.wall());
    const store = createLocalStore({ home: this.#home, driver: openBetterSqlite3, now, busyMs: 1_000 });
    onTestFinished(() => store.close());
    store.write(() => undefined);
    store.connection().script("PRAGMA synchronous = OFF");
    return new LocalCoordinator({ store, processes: this.processes, machine: "m1", now });
  }

  call<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return given(this.#own.call(name, input));
  }

  /** The worker is killed; its host settles when the connection ends. */
  kill({ pid }: Pick<WorkerAtWork, "pid">): void {
    this.processes.kill(pid);
    this.time.setTimer(() => this.#own.settle(), 100);
  }

  submit(overrides: Partial<InputOf<"tasks.submit">["tasks"][number]> = {}): number {
    const [made] = this.call("tasks.submit", { tasks: [{ type: "build", ...overrides }] }).tasks;
    return made?.task ?? 0;
  }

  ends(task: number): string[] {
    const { attempts } = this.call("tasks.history", { task });
    return attempts.map(({ end }) => end).toReversed();
  }

  state(task: number): string {
    return this.call("tasks.get", { task }).state;
  }

  worker(options: RigOptions = {}) {
    const pid = (this.#pid += 1);
    const process = processKey(this.processes.start(pid));
    const calls = callsOf(this.#own, () => undefined);
    const machine = new Machine(this.time);
    const { setTimer, clock } = machine;
    const link = WorkspaceClient.openLocal(calls, { setTimer, clock, random: () => 0.5 });
    const cuts = cutsOf(link);
    return { ...startWorker({ machine, name: `w${pid}`, link, process }, options), pid, link: cuts };
  }

  async begun(options: RigOptions = {}): Promise<WorkerAtWork> {
    const made = this.worker(options);
    await this.time.untilTrue(() => made.executor.attempts.length > 0);
    return made;
  }
}

export async function aTaskBegun(...[task]: Parameters<WorkerRig["submit"]>) {
  const rig = new WorkerRig();
  return { rig, task: rig.submit(task), made: await rig.begun() };
}

/** How a test cuts the way to the coordinator: requests then fail, or their answers are lost. */
interface Cuts {
  readonly asked: string[];
  readonly checkpoints: unknown[];
  cut: "no" | "before" | "answers" | "forbidden";
  alter: (name: string, given: object) => object;
}

function cutsOf(link: WorkspaceClient): Cuts {
  const cuts: Cuts = { asked: [], checkpoints: [], cut: "no", alter: (_name, given) => given };
  const call = link.call.bind(link);
  const lost = { ok: false, error: { code: "outcome_unknown", message: "no answer" } } as const;
  const cut: WorkspaceClient["call"] = async (name, given, deadlineMs) => {
    cuts.asked.push(name);
    if ("checkpoint" in given && given.checkpoint !== undefined) cuts.checkpoints.push(given.checkpoint);
    if (cuts.cut === "before") return lost;
    if (cuts.cut === "forbidden") return { ok: false, error: { code: "forbidden", message: "not in its scope" } };
    const answer = await call(name, cuts.alter(name, given) as typeof given, deadlineMs);
    return cuts.cut === "answers" ? lost : answer;
  };
  Object.assign(link, { call: cut });
  return cuts;
}

type OfType<Type> = Extract<WorkerEvent, { type: Type }>;

export function ofEvents<Type extends WorkerEvent["type"]>({ events }: Pick<WorkerAtWork, "events">, type: Type) {
  return events.filter((event): event is OfType<Type> => event.type === type);
}

export class Worker {
  readonly #coordinator: LocalCoordinator;
  readonly #self: { readonly chat: string; readonly incarnation: number };
  #claims = 0;

  constructor(home: CliHome, more: Partial<InputOf<"chats.register">> = {}) {
    this.#coordinator = home.coordinator("m1");
    const about = { chat: "w", session: "w", process: "somewhere", machine: "m1", client: "test" };
    const able = { capacity: 100, capabilities: ["gpu"] };
    const { incarnation } = this.#call("chats.register", { ...about, ...able, ...more });
    this.#self = { chat: more.chat ?? "w", incarnation };
  }

  #call<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return given(this.#coordinator.call(name, input));
  }

  /** Takes the next one, begun or only assigned. @returns what can be done with it */
  take(isStarted = true) {
    const requestId = `r${this.#claims++}`;
    const [claimed] = this.#call("tasks.claim", { self: this.#self, requestId, limit: 1, isStarted }).claims;
    if (!claimed) throw new Error("nothing to take");
    const held = { self: this.#self, task: claimed.task, claim: claimed.claim };
    return {
      beat: (percent: number, note: string) =>
        void this.#call("tasks.heartbeat", { ...held, progress: { percent, note } }),
      used: (usage: Partial<Usage>) => void this.#call("tasks.heartbeat", { ...held, usage }),
      done: (result: Json = { lines: 3 }) => void this.#call("tasks.ack", { ...held, result }),
      failed: (reason: string, isRetryable = false) => void this.#call("tasks.nack", { ...held, reason, isRetryable }),
    };
  }

  set(settings: InputOf<"settings.set">["settings"]): void {
    this.#call("settings.set", { settings });
  }

  drain(): void {
    this.#call("chats.drain", { chat: this.#self.chat });
  }

  isStuck(): void {
    this.#call("chats.heartbeat", { self: this.#self, status: "stuck" });
  }

  leave(): void {
    this.#call("chats.unregister", { self: this.#self });
  }
}

export async function submit(home: CliHome, command: string, ...args: string[]): Promise<string> {
  const { tasks } = (await home.json(`task submit ${command}`, ...args)) as OutputOf<"tasks.submit">;
  return String(tasks[0]?.task);
}

export async function submitPlan(home: CliHome, plan: readonly object[]): Promise<number[]> {
  write(home.project, { "plan.json": JSON.stringify(plan) });
  const { tasks } = (await home.json("task submit --graph plan.json")) as OutputOf<"tasks.submit">;
  return tasks.map(({ task }) => task);
}

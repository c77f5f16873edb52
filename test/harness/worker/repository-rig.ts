import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { ClaimedTask } from "#src/contract/tasks.ts";
import type { Json } from "#src/contract/values.ts";
import { readInputWork, type InputSettings } from "#src/runner/worker/task-inputs.ts";
import type { CommittedWork, TaskFolder } from "#src/runner/worker/executor.ts";
import { TaskWorktrees } from "#src/runner/worker/worktrees.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { git, GIT_ENV, leftIn, makeRepository, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { FakeProcesses, T0 } from "#harness/machine/temp-runtime.ts";

type Where = Readonly<Record<"folder" | "branch" | "commit", string>>;

type OpenOptions = Partial<InputSettings> & {
  readonly pid?: number;
  readonly machine?: string;
  readonly base?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly repository?: string;
};

const unasked = (): Promise<never> => Promise.reject(new Error("no result has to be asked for"));

/** A repository with one commit, and a machine whose workers do tasks in worktrees of it. */
export class RepositoryRig {
  readonly root = temporaryFolder();
  readonly repository = join(this.root, "repository");
  readonly home = join(this.root, "work");
  /** Its git processes are marked: with the same start, a test beside this one would end them. */
  readonly processes = new FakeProcesses(randomInt(2 ** 40));
  readonly #random = seededRandom(1);

  constructor() {
    makeRepository(this.repository, { "a.txt": "one\n", ".gitignore": "ignored/\n" });
  }

  /** By the worker with this number; each is another process. */
  open(task: ClaimedTask, options: OpenOptions = {}): Promise<TaskFolder> {
    const { pid = 1, machine = "m1", base = "HEAD", env = {}, repository = this.repository, ...inputs } = options;
    const facts = this.processes.facts(pid);
    const own = facts ? { boot: this.processes.boot(), pid, start: facts.start } : this.processes.start(pid);
    const { home, processes } = this;
    const machineOf = { home, processes, self: own, machine, random: this.#random, now: () => T0 };
    const settings = { isConflictKept: false, remote: null, ...inputs };
    const of = { ...machineOf, repository, base, env: { ...GIT_ENV, ...env }, inputs: settings };
    return new TaskWorktrees(of).open(task, () => readInputWork(unasked, task.inputs));
  }

  async done(task: ClaimedTask, files: Record<string, string>, options: OpenOptions = {}): Promise<CommittedWork> {
    const place = await this.open(task, options);
    write(place.folder, files);
    const { work } = await place.finish(true);
    if (!work) throw new Error("a worktree has no work");
    await place.release(false);
    return work;
  }

  git(...args: string[]): string {
    return git(this.repository, ...args).trim();
  }

  branches(): string[] {
    return leftIn(this.repository, this.home).branches;
  }
}

export const aTask = (checkpoint: Json = null, task = 7): ClaimedTask => aClaim({ checkpoint, task });

export function aClaim(change: Partial<ClaimedTask> = {}): ClaimedTask {
  const given = { task: 7, claim: 1, attempt: 1, maxAttempts: 3, type: "build", priority: 5, payload: null };
  const state = { isStarted: true, progress: null, checkpoint: null, inputs: [] };
  const times = { startInMs: null, remainingMs: 60_000, heartbeatMs: 60_000 };
  return { ...given, ...state, ...times, budget: { wallMs: null, tokens: null, costMicros: null }, ...change };
}

export function aDependent(results: Readonly<Record<number, Json | CommittedWork>>, task = 9): ClaimedTask {
  const done = { ref: null, state: "done", isLeftOut: false } as const;
  const all = Object.entries(results) as [string, Json][];
  const inputs = all.map(([number, result]) => Object.assign({ task: Number(number), result }, done));
  return aClaim({ task, inputs });
}

export const whereOf = (place: TaskFolder): Where => place.location() as unknown as Where;

import { spawnSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { descendantsOf } from "../scripts/local-edge.ts";
import { writeEdgeConfig, type EdgeConfig } from "../src/coordinator-client/edge-config.ts";
import { identify, isAlive, systemProcesses, type ProcessIdentity } from "../src/platform/processes.ts";
import type { WorkerEvent } from "../src/runner/worker/attempt.ts";
import { Scene } from "./scene.ts";
import * as shop from "./shop.ts";

/** The scene of the team: beside the project a folder for the runtime, and the settings of its workers. */
export class TeamScene extends Scene {
  readonly runtime = join(this.root, "runtime");
  readonly settings = join(this.root, "worker.json");
  /** Where the tasks wait for files. */
  readonly #signals = join(this.root, "signals");

  constructor(env: NodeJS.ProcessEnv) {
    super("team", "shop", env);
  }

  make(node: string): void {
    for (const folder of [this.runtime, this.#signals]) mkdirSync(folder);
    this.makeProject(shop.files, "A shop");
    const command = [node, join(import.meta.dirname, "task-program.ts"), this.#signals];
    const refactor = { command, repository: this.project };
    const test = { ...refactor, jobTests: [node, "--test"] };
    writeFileSync(this.settings, JSON.stringify({ drainMs: 0, types: { refactor, test } }));
  }

  join(edge: EdgeConfig): void {
    writeEdgeConfig(this.paths.home, edge);
  }

  /** Lets the task continue after its edit. */
  resumeTask(task: number, edit: number): void {
    writeFileSync(join(this.#signals, `${task}-${edit}`), "");
  }

  /** Runs the project's tests as they are in a commit. */
  tests(node: string, commit: string): { readonly passed: number; readonly failed: number } {
    const folder = join(this.root, "tested");
    this.git("worktree", "add", "--quiet", "--detach", folder, commit);
    const { stdout } = spawnSync(node, ["--test", "--test-reporter=tap"], {
      cwd: folder,
      env: this.env,
      encoding: "utf8",
    });
    this.git("worktree", "remove", folder);
    const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(stdout)?.[1]);
    return { passed: count("pass"), failed: count("fail") };
  }
}

const launcher = join(import.meta.dirname, "..", "bin", "shim.mjs");

/** Of what it says: `shim worker --json` writes the type of an event as `event`. */
type Told = { readonly event: WorkerEvent["type"]; readonly chat?: string };

/** A `shim worker` in a process of its own. */
export class TeamWorker {
  readonly name: string;
  /** Its chat, once it is registered. Rejects when it ends before. */
  readonly registered: Promise<string>;
  readonly #process: ChildProcess;
  readonly #ended: Promise<number | null>;
  #stderr = "";
  #mine: readonly ProcessIdentity[] = [];

  constructor(name: string, node: string, { env, project, settings }: TeamScene) {
    this.name = name;
    // In a group of its own: Ctrl-C in the terminal is for the demo, which ends it.
    const started = spawn(node, [launcher, "worker", "--config", settings, "--json"], {
      cwd: project,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#process = started;
    started.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.registered = promise;
    createInterface({ input: started.stdout }).on("line", (line) => {
      const { event, chat } = JSON.parse(line) as Told;
      if (event === "registered" && chat !== undefined) resolve(chat);
    });
    this.#ended = new Promise((done) => {
      started.on("error", reject).on("close", (code) => {
        reject(new Error(`the worker ${name} has ended: ${this.#stderr.trim()}`));
        done(code);
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** What it says about trouble. */
  get stderr(): string {
    return this.#stderr;
  }

  /** kill -9 of this process only. */
  kill(): void {
    this.#remember();
    this.#process.kill("SIGKILL");
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Asks it to end, and ends it after so long. @returns its exit code; null when a signal has ended it */
  async end(withinMs: number): Promise<number | null> {
    if (this.isAlive) this.#remember();
    const hard = setTimeout(() => this.#process.kill("SIGKILL"), withinMs);
    this.#process.kill("SIGTERM");
    const code = await this.#ended;
    clearTimeout(hard);
    return code;
  }

  /** Processes of it, and of what it has started, that were there when it was ended and still are. */
  left(): readonly ProcessIdentity[] {
    return this.#mine.filter((one) => isAlive(systemProcesses, one));
  }

  #remember(): void {
    const seen = [this.pid, ...descendantsOf(this.pid)].map((pid) => identify(systemProcesses, pid));
    this.#mine = seen.filter((one) => one !== null);
  }
}

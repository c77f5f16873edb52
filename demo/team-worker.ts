import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { WorkerEvent } from "../src/runner/worker/attempt.ts";
import { identify, isAlive, systemProcesses, type ProcessIdentity } from "../src/platform/processes.ts";
import { descendantsOf } from "../scripts/local-edge.ts";
import type { TeamScene } from "./team-scene.ts";

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

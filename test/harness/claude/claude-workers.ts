import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { claudeBinary } from "../../../scripts/install-claude.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import type { Store } from "#src/store/store.ts";
import { childrenOf, cleanEnv, untilFound, type Child } from "./claude-code.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "./scripted-model.ts";
import { ClaudeRig } from "./claude-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

/** What a worker says of itself with --json. */
interface Said {
  readonly event: string;
  readonly at: number;
  readonly task?: number;
  readonly end?: string;
}

/** A machine whose workers do tasks of the type `fix` with the real Claude Code, which talks to a model that plays the steps. */
export class WorkerMachine {
  readonly rig = new ClaudeRig();
  readonly model: ScriptedModel;
  readonly #coordinator: LocalCoordinator;

  private constructor(model: ScriptedModel, settings: object) {
    this.model = model;
    const { project, paths } = this.rig;
    const fix = { claude: { program: claudeBinary(), ...settings }, repository: project };
    writeFileSync(join(this.rig.root, "worker.json"), JSON.stringify({ drainMs: 0, types: { fix } }));
    const store = createLocalStore({ home: paths.home, driver: openNodeSqlite, now: Date.now, busyMs: 2_000 });
    onTestFinished(() => store.close());
    this.#coordinator = this.#coordinatorOn(store);
  }

  static async with(steps: readonly Step[], settings: object): Promise<WorkerMachine> {
    const model = await startScriptedModel({ threads: [{ steps }] });
    const machine = new WorkerMachine(model, settings);
    onTestFinished(() => model.close());
    return machine;
  }

  #coordinatorOn(store: Store): LocalCoordinator {
    return new LocalCoordinator({ store, processes: systemProcesses, machine: hostname(), now: Date.now });
  }

  /** `shim worker`, ended with the test if it is still there. */
  worker(...flags: string[]): WorkerProcess {
    const { rig, model } = this;
    const env = cleanEnv({
      home: rig.home,
      modelUrl: model.url,
      env: { SHIM_HOME: rig.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" },
    });
    const args = [launcher, "worker", "--config", join(rig.root, "worker.json"), "--json", ...flags];
    return new WorkerProcess(
      spawn(process.execPath, args, { cwd: rig.project, env, stdio: ["ignore", "pipe", "pipe"] }),
    );
  }

  /** Asks the coordinator of this machine, in this process: whoever asks also does what is due. */
  ask<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    const answer = this.#coordinator.call(name, input);
    if (!answer.ok) throw new Error(`${name}: ${answer.error.code}: ${answer.error.message}`);
    return answer.value;
  }

  submit(text: string, more: object = {}): number {
    const { tasks } = this.ask("tasks.submit", { tasks: [{ type: "fix", payload: { text }, ...more }] });
    return tasks[0]?.task ?? 0;
  }

  /** What each request of the conversation says, oldest first. */
  asked(): string[] {
    const loops = this.model.requests.filter(({ kind }) => kind === "loop");
    return loops.map(({ messages }) => messages.map(({ role, text }) => `${role}: ${text}`).join("\n"));
  }
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #out = "";
  #err = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#out += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#err += text));
    this.#ended = new Promise((resolve) => void child.once("close", (code) => resolve(code)));
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await this.#ended;
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the worker was not started");
    return this.#child.pid;
  }

  said(): Said[] {
    const whole = this.#out.split("\n").slice(0, -1);
    return whole.map((line) => JSON.parse(line) as Said);
  }

  until(event: string): Promise<Said> {
    const look = (): Said | undefined => this.said().find((said) => said.event === event);
    return untilFound(look, `"${event}" of a worker`).catch((error: unknown) => {
      throw new Error(`${String(error)} It said: ${this.#out}${this.#err}`);
    });
  }

  /** Claude Code, below the process that keeps it. */
  claude(): Promise<Child> {
    const look = (): Child | undefined =>
      childrenOf(this.pid)
        .flatMap((keeper) => childrenOf(keeper.pid))
        .find(({ command }) => command.includes("--output-format"));
    return untilFound(look, "Claude Code below the worker");
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  ended(): Promise<number | null> {
    return this.#ended;
  }
}

import { spawn } from "node:child_process";
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
import { untilFound } from "./claude-code.ts";
import { childrenOf, type Child } from "#harness/machine/process-tree.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { EventProcess } from "#harness/machine/programs.ts";
import type { ScriptedModel, Step } from "./scripted-model.ts";
import { aModel } from "#harness/clients/chat-rig.ts";
import { ClaudeRig } from "./claude-rig.ts";

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
    this.#coordinator = new LocalCoordinator({ store, processes: systemProcesses, machine: hostname(), now: Date.now });
  }

  static async with(steps: readonly Step[], settings: object): Promise<WorkerMachine> {
    return new WorkerMachine(await aModel({ steps }), settings);
  }

  /** `shim worker`, ended with the test if it is still there. */
  worker(...flags: string[]): WorkerProcess {
    const { rig, model } = this;
    const env = rig.envOf(model);
    const args = [built.launcher, "worker", "--config", join(rig.root, "worker.json"), "--json", ...flags];
    return new WorkerProcess(
      spawn(process.execPath, args, { cwd: rig.project, env, stdio: ["ignore", "pipe", "pipe"] }),
    );
  }

  /** Asks the coordinator of this machine, in this process, which also does what is due. */
  ask<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return given(this.#coordinator.call(name, input));
  }

  submit(text: string): number {
    const { tasks } = this.ask("tasks.submit", { tasks: [{ type: "fix", payload: { text } }] });
    return tasks[0]?.task ?? 0;
  }

  asked(): string[] {
    const loops = this.model.requests.filter(({ kind }) => kind === "loop");
    return loops.map(({ messages }) => messages.map(({ role, text }) => `${role}: ${text}`).join("\n"));
  }
}

/** A worker or a supervisor that keeps Claude Code. */
export class WorkerProcess extends EventProcess {
  claude(): Promise<Child> {
    const found = (): Child | undefined =>
      childrenOf(this.pid)
        .flatMap((keeper) => childrenOf(keeper.pid))
        .find(({ command }) => command.includes("--output-format"));
    return untilFound(found, "Claude Code below the worker");
  }
}

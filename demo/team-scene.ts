import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scene } from "./scene.ts";
import { writeEdgeConfig, type EdgeConfig } from "../src/coordinator-client/edge-config.ts";
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

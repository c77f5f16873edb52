import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { writeEdgeConfig, type EdgeConfig } from "../src/coordinator-client/edge-config.ts";
import { codeOf } from "../src/shared/error.ts";
import * as shop from "./shop.ts";

/** A temporary folder with a git project, a SHIM home that its workers share, and a place for the runtime. */
export class TeamScene {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "shim-team-")));
  readonly project = join(this.root, "shop");
  readonly runtime = join(this.root, "runtime");
  readonly settings = join(this.root, "worker.json");
  readonly #home = join(this.root, "shim");
  /** Where the tasks wait for files. */
  readonly #words = join(this.root, "words");
  /** Nothing of a client that the demo itself was started by, nor of the user's own git. */
  readonly env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    const foreign = /^(CLAUDE|SHIM_|GIT_|NODE_TEST_CONTEXT)/;
    const kept = Object.entries(env).filter(([name]) => !foreign.test(name));
    this.env = {
      ...Object.fromEntries(kept),
      SHIM_HOME: this.#home,
      GIT_CONFIG_GLOBAL: devNull,
      GIT_CONFIG_NOSYSTEM: "1",
    };
  }

  make(node: string): void {
    for (const folder of [this.project, this.runtime, this.#words]) mkdirSync(folder);
    this.git("init", "--quiet", "--initial-branch=main");
    for (const [name, content] of Object.entries(shop.files)) this.#write(join(this.project, name), content);
    this.git("add", "--all");
    this.git("commit", "--quiet", "--message", "A shop");
    const command = [node, join(import.meta.dirname, "task-program.ts"), this.#words];
    const how = { command, repository: this.project };
    const test = { ...how, jobTests: [node, "--test"] };
    writeFileSync(this.settings, JSON.stringify({ drainMs: 0, types: { refactor: how, test } }));
  }

  join(edge: EdgeConfig): void {
    writeEdgeConfig(this.#home, edge);
  }

  /** The task goes on after its edit. */
  giveWord(task: number, edit: number): void {
    writeFileSync(join(this.#words, `${task}-${edit}`), "");
  }

  git(...args: string[]): string {
    const own = ["-c", "user.name=SHIM demo", "-c", "user.email=demo@localhost"];
    try {
      return execFileSync("git", ["-C", this.project, ...own, ...args], {
        env: this.env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 30_000,
      }).trim();
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      throw new Error("the demo works in a git project, and git was not found. Install git.", { cause: error });
    }
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

  remove(): void {
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #write(path: string, content: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsIn, type Paths } from "../../../../platform/paths.ts";
import { identify, isAlive, type Processes, type ProcessIdentity } from "../../../../platform/processes.ts";
import * as story from "./story.ts";
import { codeOf } from "../../../../shared/error.ts";

export class GitMissing extends Error {}

export class Scene {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "shim-demo-")));
  readonly project = join(this.root, "till");
  readonly paths: Paths = pathsIn(join(this.root, "shim"));
  /** Holds no variable of a client that started the demo. */
  readonly env: NodeJS.ProcessEnv;
  readonly #processes: Processes;
  readonly #started: ProcessIdentity[] = [];

  constructor(env: NodeJS.ProcessEnv, processes: Processes) {
    this.#processes = processes;
    const foreign = /^(CLAUDE|SHIM_|GIT_)/;
    this.env = Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name)));
    this.env["SHIM_HOME"] = this.paths.home;
  }

  makeProject(): void {
    mkdirSync(this.project);
    this.#git("init", "--quiet", "--initial-branch=main");
    for (const [name, content] of Object.entries(story.project)) this.write(name, content);
    this.#git("add", "--all");
    this.#git("commit", "--quiet", "--message", "Add up prices");
  }

  inProject(name: string): string {
    return join(this.project, name);
  }

  write(name: string, content: string): void {
    writeFileSync(this.inProject(name), content);
  }

  files(folder = this.project): Map<string, Buffer> {
    const names = readdirSync(folder).filter((name) => name !== ".git");
    return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name))]));
  }

  track(pid: number): void {
    const found = identify(this.#processes, pid);
    if (found) this.#started.push(found);
  }

  alive(): ProcessIdentity[] {
    return this.#started.filter((one) => isAlive(this.#processes, one));
  }

  killAll(): void {
    for (const { pid } of this.alive()) process.kill(pid, "SIGKILL");
  }

  /** Sends kill -9, unless the pid belongs to another process by now. */
  kill(pid: number): void {
    if (this.alive().some((one) => one.pid === pid)) process.kill(pid, "SIGKILL");
  }

  remove(): void {
    // A process killed a moment ago may still hold a file on Windows.
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #git(...args: string[]): void {
    const own = [
      "user.name=SHIM demo",
      "user.email=demo@localhost",
      "commit.gpgSign=false",
      "core.hooksPath=/dev/null",
    ];
    const settings = own.flatMap((one) => ["-c", one]);
    try {
      execFileSync("git", ["-C", this.project, ...settings, ...args], {
        env: this.env,
        stdio: "pipe",
        timeout: 30_000,
      });
    } catch (error) {
      const isMissing = codeOf(error) === "ENOENT";
      throw isMissing ? new GitMissing("the demo works in a git project, and git was not found. Install git.") : error;
    }
  }
}

import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { git, GIT_ENV, makeRepository, temporaryFolder } from "./git-project.ts";
import { answered, built, startServer, storeOf } from "./mcp-process.ts";
import { EventProcess, outputOf, type Output } from "./programs.ts";

/** A machine of its own: a home, SHIM's folder, a command `shim`, and a project: a clone, or a repository of one commit. */
export class MachineHome {
  readonly home: string;
  readonly project: string;
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;

  constructor(name = "home", { folder = temporaryFolder(), origin }: { folder?: string; origin?: string } = {}) {
    this.home = join(folder, name);
    this.project = join(this.home, "project");
    this.paths = pathsIn(join(this.home, "shim"));
    const bin = join(this.home, "bin");
    const path = [bin, process.env["PATH"]].join(delimiter);
    this.env = { ...GIT_ENV, PATH: path, HOME: this.home, SHIM_HOME: this.paths.home, NO_COLOR: "1" };
    for (const each of [bin, join(this.home, ".claude")]) mkdirSync(each, { recursive: true });
    writeFileSync(join(bin, "shim"), `#!/bin/sh\nexec "${process.execPath}" "${built.launcher}" "$@"\n`, {
      mode: 0o755,
    });
    if (origin !== undefined) git(folder, "clone", "-q", origin, this.project);
    else makeRepository(this.project, { "a.txt": "one\n" });
  }

  spawn(args: readonly string[], stdio: StdioOptions = ["ignore", "pipe", "pipe"]): ChildProcess {
    return spawn(process.execPath, [built.launcher, ...args], { cwd: this.project, env: this.env, stdio });
  }

  /** A command to its end. Not at once: a proxy of the test may have to work meanwhile. */
  shim(...args: string[]): Promise<Output> {
    return outputOf(this.spawn(args));
  }

  /** What a command prints with --json; a failure fails the test. */
  async ask(...args: string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await this.shim(...args, "--json");
    expect(code, `shim ${args.join(" ")}: ${out}${err}`).toBe(0);
    return JSON.parse(out) as Record<string, unknown>;
  }

  /** A command that goes on, with its events. */
  start(...args: string[]): EventProcess {
    return new EventProcess(this.spawn([...args]));
  }

  async loseAChat(goal: string): Promise<string> {
    const server = await startServer(this.paths);
    const { project } = this;
    const { session } = await answered(server, "shim_force_checkpoint", { goal, project, nextStep: "the next step" });
    const store = storeOf(this.paths);
    const query = "SELECT 1 FROM snapshots WHERE session = ? AND state = 'done'";
    const taken = (): unknown[] => store.read((sql) => sql.all(query, String(session)), []);
    await untilFound(() => taken()[0], "the files of the checkpoint");
    server.process.kill("SIGKILL");
    await server.ended;
    return String(session);
  }

  /** @returns what the lines of a shell print; any that fails fails the test */
  async run(lines: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const options = { cwd: this.project, env: { ...this.env, ...env } };
    const { code, out, err } = await outputOf(spawn("bash", ["-eo", "pipefail", "-c", lines.join("\n")], options));
    expect(code, `${lines.join("\n")}\n${out}${err}`).toBe(0);
    return out;
  }
}

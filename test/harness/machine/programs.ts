import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, type TestContext } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { git, GIT_ENV, makeRepository, temporaryFolder } from "./git-project.ts";
import { answered, built, startServer, storeOf } from "./mcp-process.ts";
import { untilFound } from "#harness/claude/claude-code.ts";

/** How long a test waits for what comes by itself: no speed of the machine decides. */
export const patience = { timeout: 120_000, interval: 20 };

export type Output = Readonly<{ code: number | null; out: string; err: string }>;

/** What a process prints until its end. @param input null: its stdin stays open */
export async function outputOf(child: ChildProcess, input: string | Uint8Array | null = ""): Promise<Output> {
  const printed = { out: "", err: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (printed.out += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (printed.err += text));
  // A process that does not read its input may have closed it.
  if (input !== null) child.stdin?.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...printed };
}

interface Event {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A process that prints its events as lines of JSON; it is killed with the test. */
export class EventProcess {
  readonly events: Event[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #errors = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error("the process has no pipe");
    createInterface({ input: child.stdout }).on("line", (line) => this.events.push(JSON.parse(line) as Event));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
    this.ended = new Promise((resolve) => void child.once("close", resolve));
    onTestFinished(async () => {
      this.kill("SIGKILL");
      await this.ended;
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  named(name: string): Event[] {
    return this.events.filter(({ event }) => event === name);
  }

  until(name: string, number = 1): Promise<Event> {
    return untilFound(() => this.named(name)[number - 1], `event ${number} "${name}"`).catch((error: unknown) => {
      throw new Error(`${String(error)} Instead: ${JSON.stringify(this.events)} ${this.#errors}`);
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** A shared library made of a C file; without a compiler the test is skipped with the reason. @returns its path */
export function compiled(test: TestContext, source: string, ...libraries: readonly string[]): string {
  const library = join(temporaryFolder(), "library.so");
  const flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library];
  const { error, status, stderr } = spawnSync("cc", [...flags, source, ...libraries], { encoding: "utf8" });
  if (error) test.skip(`no C compiler here: ${error.message}`);
  if (status !== 0) throw new Error(`${source}: ${stderr}`);
  return library;
}

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

  spawn(args: readonly string[]): ChildProcess {
    const { project: cwd, env } = this;
    return spawn(process.execPath, [built.launcher, ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  }

  /** A command to its end. Not at once: a proxy of the test may have to work meanwhile. */
  shim(...args: string[]): Promise<Output> {
    return outputOf(this.spawn(args));
  }

  async ask(...args: string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await this.shim(...args, "--json");
    expect(code, `shim ${args.join(" ")}: ${out}${err}`).toBe(0);
    return JSON.parse(out) as Record<string, unknown>;
  }

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

/** For programs whose file systems lack it. Needs Linux and a C compiler: elsewhere the test is skipped with the reason. */
export function lacking(test: TestContext, what: "locks" | "sockets"): NodeJS.ProcessEnv {
  if (process.platform !== "linux") test.skip("a file system is played on Linux only");
  return { LD_PRELOAD: compiled(test, join(import.meta.dirname, "network-disk.c"), "-ldl"), SHIM_LACKS: what };
}

/** A disk below SHIM_HOME that can be made to refuse what is written. Needs what {@link lacking} needs. */
export function failingDisk(test: TestContext) {
  if (process.platform !== "linux") test.skip("a disk is played on Linux only");
  const sign = join(temporaryFolder(), "fails");
  const env = {
    LD_PRELOAD: compiled(test, join(import.meta.dirname, "failing-disk.c"), "-ldl"),
    SHIM_DISK_FAILS: sign,
  };
  const fail = (name: keyof typeof constants.errno): void => writeFileSync(sign, String(constants.errno[name]));
  return { env, fail, mend: () => rmSync(sign) };
}

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { descendantsOf, LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import type { InputOf, OperationName, OutputOf } from "../../src/contract/operations.ts";
import { writeEdgeConfig } from "../../src/coordinator-client/edge-config.ts";
import { LocalCoordinator } from "../../src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "../../src/coordinator-client/local/local-store.ts";
import { runningHost } from "../../src/local-mcp/host-client/host-status.ts";
import { addKey, createKey } from "../../src/machine/sharing/key-ring.ts";
import { pathsIn, type Paths } from "../../src/platform/paths.ts";
import { identify, isAlive, systemProcesses, type ProcessIdentity } from "../../src/platform/processes.ts";
import { openNodeSqlite } from "../../src/store/driver-node-sqlite.ts";
import { cleanEnv } from "../../test/harness/claude/claude-code.ts";

const launcher = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");
const allowedTools = "Bash,Read,Write,Edit,mcp__shim";
const author = ["-c", "user.name=SHIM demo", "-c", "user.email=demo@localhost"];

/** What `shim worker supervise --json` prints. */
export interface SupervisorLine {
  readonly event: string;
  readonly name?: string | null;
  readonly session?: string | null;
  readonly phase?: string;
  readonly text?: string;
  readonly reason?: string | null;
}

/** A machine of the story: a home, a clone of the project, and `shim worker supervise`, which keeps its chats running. */
export class Machine {
  readonly name: string;
  readonly project: string;
  readonly paths: Paths;
  readonly #env: Readonly<Record<string, string>>;
  readonly #lines: SupervisorLine[] = [];
  #process: ChildProcess | null = null;
  #ended: Promise<number | null> = Promise.resolve(null);
  #processes: readonly ProcessIdentity[] = [];

  constructor(root: string, name: string, modelUrl: string) {
    this.name = name;
    const folder = join(root, name);
    this.project = join(folder, "shop");
    this.paths = pathsIn(join(folder, "shim"));
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true });
    mkdirSync(this.paths.home, { mode: 0o700 });
    // The Node of this process is the first that tools find.
    const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
    this.#env = cleanEnv({
      home,
      modelUrl,
      env: { SHIM_HOME: this.paths.home, PATH: path, CLAUDE_CODE_MAX_RETRIES: "0" },
    });
    writeFileSync(join(home, ".gitconfig"), "[user]\n\tname = SHIM demo\n\temail = demo@localhost\n");
  }

  /** A clone of the bare repository, under an address that is the project's on every machine. */
  clone(origin: string): void {
    execFileSync("git", ["clone", "--quiet", origin, this.project], { env: this.#env });
    this.git("config", "remote.origin.url", "https://git.example.com/team/shop.git");
    this.git("config", `url.${origin}.insteadOf`, "https://git.example.com/team/shop.git");
  }

  git(...args: string[]): string {
    const options = { env: this.#env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] } as const;
    return execFileSync("git", ["-C", this.project, ...author, ...args], {
      ...options,
      stdio: [...options.stdio],
    }).trim();
  }

  read(file: string): string {
    return readFileSync(join(this.project, file), "utf8");
  }

  /** @param prompts of each chat, by its name */
  start(prompts: Readonly<Record<string, string>>): void {
    const args = ["--allowedTools", allowedTools];
    const claude = { kind: "claude", folder: this.project, program: claudeBinary(), args };
    const watch = Object.fromEntries(Object.entries(prompts).map(([name, prompt]) => [name, { ...claude, prompt }]));
    writeFileSync(join(this.paths.home, "supervisor.json"), JSON.stringify({ watch }));
    // In a group of its own: Ctrl-C in the terminal is for the demo, which ends it.
    const child = spawn(process.execPath, [launcher, "worker", "supervise", "--json"], {
      env: this.#env,
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    createInterface({ input: child.stdout }).on("line", (line) => this.#lines.push(JSON.parse(line) as SupervisorLine));
    this.#ended = new Promise((resolve) => void child.once("close", resolve));
    this.#process = child;
  }

  /** What the supervisor has printed about a chat, of one kind, oldest first. */
  lines(event: string, chat: string): SupervisorLine[] {
    return this.#lines.filter((line) => line.event === event && line.name === chat);
  }

  /** All lines of one kind. */
  problems(): string[] {
    return this.#lines.filter(({ event }) => event === "problem").map((line) => JSON.stringify(line));
  }

  /** Ends the supervisor and its chats, and then the host, which no process has as its child. @returns the supervisor's exit code */
  async end(): Promise<number | null> {
    const pid = this.#process?.pid;
    if (pid === undefined) return null;
    this.remember();
    this.#process?.kill("SIGTERM");
    const code = await this.#ended;
    const stopped = await runningHost(this, "POST", "/stop");
    if (stopped.ok && stopped.value.host) this.#remember([stopped.value.host.pid]);
    return code;
  }

  /** Remembers the processes that are there now, for {@link left}. */
  remember(): void {
    const pid = this.#process?.pid;
    if (pid !== undefined) this.#remember([pid, ...descendantsOf(pid)]);
  }

  #remember(pids: readonly number[]): void {
    const found = pids.map((pid) => identify(systemProcesses, pid));
    this.#processes = [...this.#processes, ...found.filter((one) => one !== null)];
  }

  left(): readonly ProcessIdentity[] {
    return this.#processes.filter((one) => isAlive(systemProcesses, one));
  }
}

/** What coordinates the chats of the story. */
export interface Host {
  readonly ask: <Name extends OperationName>(name: Name, input: InputOf<Name>) => Promise<OutputOf<Name>>;
  readonly close: () => Promise<void>;
}

/** The file of one machine. */
export function localHost({ paths }: Machine): Host {
  const store = createLocalStore({ home: paths.home, driver: openNodeSqlite, now: Date.now, busyMs: 5_000 });
  const coordinator = new LocalCoordinator({ store, processes: systemProcesses, machine: hostname(), now: Date.now });
  return {
    ask: async (name, input) => {
      const answer = coordinator.call(name, input);
      if (!answer.ok) throw new Error(`${name}: ${answer.error.message}`);
      return answer.value;
    },
    close: async () => store.close(),
  };
}

/** A coordinator under workerd that the machines have joined. */
export async function edgeHost(machines: readonly Machine[], folder: string): Promise<Host> {
  const entry = join(import.meta.dirname, "..", "..", "src", "worker", "worker-entry.ts");
  const edge = new LocalEdge(await startEdge({ entry, folder, log: () => undefined }));
  const { url, workspace } = edge;
  const key = createKey(randomBytes);
  for (const { name, paths } of machines) {
    const { token } = await edge.call("tokens.create", { machine: name, scope: "work" });
    writeEdgeConfig(paths.home, { url, workspace, machine: name, token });
    addKey(paths.home, { url, workspace }, key);
  }
  return { ask: (name, input) => edge.call(name, input), close: () => edge.close() };
}

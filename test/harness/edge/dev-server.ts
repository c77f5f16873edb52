import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { descendantsOf } from "../../../scripts/local-edge.ts";
import { identify, isAlive, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";

const script = join(import.meta.dirname, "..", "..", "..", "scripts", "dev.ts");

/** A folder for `.wrangler` and `.dev.vars`; it goes with the test. */
export function devFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shim-dev-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** `npm run dev` without npm, in a process group of its own; what is left of it ends with the test. */
export class DevServer {
  readonly port: number;
  readonly url: string;
  /** Of the process, once it has ended. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #stderr = "";
  #started: readonly ProcessIdentity[] = [];

  private constructor(folder: string, port: number, umask: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    const env = { ...process.env, SHIM_DEV_FOLDER: folder, SHIM_DEV_PORT: String(port) };
    const before = process.umask(umask);
    this.#process = spawn(process.execPath, [script], { env, stdio: ["ignore", "ignore", "pipe"], detached: true });
    process.umask(before);
    this.ended = once(this.#process, "close").then(([code]) => code as number | null);
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    onTestFinished(() => {
      for (const { pid } of this.alive) process.kill(pid, "SIGKILL");
    });
  }

  static launch(folder: string, port: number): DevServer {
    return new DevServer(folder, port, 0o022);
  }

  /** Resolves when it says where the coordinator is, or has ended. */
  static async start(folder: string, port?: number, umask = 0o022): Promise<DevServer> {
    const server = new DevServer(folder, port ?? (await freePort()), umask);
    const { promise: isUp, resolve } = Promise.withResolvers<void>();
    server.#process.stderr?.on("data", () => server.#stderr.includes("The coordinator is at") && resolve());
    await Promise.race([isUp, server.ended]);
    return server;
  }

  /** What it has said. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Its processes, itself first, each known again after its end. */
  get processes(): readonly ProcessIdentity[] {
    const own = this.#process.pid ?? -1;
    const found = [own, ...descendantsOf(own)].flatMap((pid) => identify(systemProcesses, pid) ?? []);
    const isKnown = ({ pid }: ProcessIdentity): boolean => this.#started.some((known) => known.pid === pid);
    this.#started = [...this.#started, ...found.filter((one) => !isKnown(one))];
    return found;
  }

  /** Those of all that were ever seen that have not ended. */
  get alive(): readonly ProcessIdentity[] {
    void this.processes;
    return this.#started.filter((one) => isAlive(systemProcesses, one));
  }

  get hasRuntime(): boolean {
    return this.#workerd !== undefined;
  }

  /** The number of workerd. */
  get runtime(): number {
    if (!this.#workerd) throw new Error("there is no workerd");
    return this.#workerd.pid;
  }

  get #workerd(): ProcessIdentity | undefined {
    return this.processes.find(({ pid }) => systemProcesses.facts(pid)?.command === "workerd");
  }

  /** To all of its group, as a terminal does. */
  signal(signal: NodeJS.Signals): void {
    process.kill(-(this.#process.pid ?? -1), signal);
  }

  /** kill -9 of this process alone. */
  kill(): void {
    void this.processes;
    this.#process.kill("SIGKILL");
  }

  /** kill -9 of all but workerd. */
  leaveRuntime(): void {
    const { runtime } = this;
    // The script last: its end makes the others end.
    for (const { pid } of this.processes.toReversed()) if (pid !== runtime) process.kill(pid, "SIGKILL");
  }

  async untilSaid(text: string): Promise<void> {
    await vi.waitUntil(() => this.#stderr.includes(text), { timeout: 30_000, interval: 20 });
  }

  async untilGone(): Promise<void> {
    await vi.waitUntil(() => this.alive.length === 0, { timeout: 30_000, interval: 20 });
  }

  /** @returns the first token of the workspace */
  async makeWorkspace(workspace: string, secret: string): Promise<string> {
    const headers = { authorization: `Bearer ${secret}` };
    const body = JSON.stringify({ workspace });
    const made = await fetch(`${this.url}/v1/workspaces`, { method: "POST", headers, body });
    return ((await made.json()) as { token: string }).token;
  }
}

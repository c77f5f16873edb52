import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { onTestFinished, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { freePort } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { isAlive, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";
import { familyOf, killEvery, unlessGone } from "#harness/machine/process-tree.ts";

interface DevOptions {
  readonly folder?: string;
  readonly umask?: number;
  readonly isAwaited?: boolean;
}

const script = join(import.meta.dirname, "..", "..", "scripts", "dev.ts");

/** `npm run dev` without npm, in a process group of its own; what is left of it ends with the test. */
export class DevServer {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #stderr = "";
  #started: readonly ProcessIdentity[] = [];

  private constructor(folder: string, port: number, umask: number) {
    this.folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    const env = { ...process.env, SHIM_DEV_FOLDER: folder, SHIM_DEV_PORT: String(port) };
    const before = process.umask(umask);
    this.#process = spawn(process.execPath, [script], { env, stdio: ["ignore", "ignore", "pipe"], detached: true });
    process.umask(before);
    this.ended = once(this.#process, "close").then(([code]) => code as number | null);
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    onTestFinished(() => killEvery(this.alive));
  }

  /** @param isAwaited until it has printed where the coordinator is, or has ended */
  static async start(options: DevOptions = {}): Promise<DevServer> {
    const { folder = temporaryFolder(), umask = 0o022, isAwaited = true } = options;
    const server = new DevServer(folder, await freePort(), umask);
    const { promise: isUp, resolve } = Promise.withResolvers<void>();
    server.#process.stderr?.on("data", () => server.#stderr.includes("The coordinator is at") && resolve());
    if (isAwaited) await Promise.race([isUp, server.ended]);
    return server;
  }

  /** Its processes, itself first, each known again after its end. */
  get processes(): readonly ProcessIdentity[] {
    const found = familyOf(this.#process.pid ?? -1);
    const isKnown = ({ pid }: ProcessIdentity): boolean => this.#started.some((known) => known.pid === pid);
    this.#started = [...this.#started, ...found.filter((one) => !isKnown(one))];
    return found;
  }

  get alive(): readonly ProcessIdentity[] {
    void this.processes;
    return this.#started.filter((one) => isAlive(systemProcesses, one));
  }

  async runtime(): Promise<number> {
    const found = (): ProcessIdentity | undefined =>
      this.processes.find(({ pid }) => systemProcesses.facts(pid)?.command === "workerd");
    return vi.waitUntil(() => found()?.pid, patience);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(-(this.#process.pid ?? -1), signal);
  }

  kill(): void {
    void this.processes;
    this.#process.kill("SIGKILL");
  }

  async untilGone(): Promise<void> {
    await vi.waitUntil(() => this.alive.length === 0, patience);
  }

  async makeWorkspace(): Promise<string> {
    const { SHIM_ADMIN_SECRET = "" } = parseEnv(readFileSync(join(this.folder, ".dev.vars"), "utf8"));
    const headers = { authorization: `Bearer ${SHIM_ADMIN_SECRET}` };
    const made = await fetch(`${this.url}/v1/workspaces`, { method: "POST", headers, body: '{"workspace":"team"}' });
    return ((await made.json()) as { token: string }).token;
  }
}

/** The TCP ports on which one of these processes listens, by proc(5). */
export function listeningPorts(pids: readonly number[]): number[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  const rows = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1),
  );
  const ports = rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
    return state === listening && sockets.has(inode) ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [];
  });
  return [...new Set(ports)];
}

/** Of the kernel's tcp_states.h. */
const listening = "0A";

function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const links = unlessGone(() => readdirSync(folder), []).map((fd) =>
    unlessGone(() => readlinkSync(`${folder}/${fd}`), ""),
  );
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import type { HookClient } from "../../src/contract/clients.ts";
import { maxEventLineChars } from "../../src/contract/hook-stream.ts";
import { once } from "node:events";

const program = join(import.meta.dirname, "..", "..", "dist", "hook.cjs");
/** Ten times the bound: what takes longer is taken for a hang, and ended. */
const hangMs = 10_000;
const checkMs = 500;

export interface SentEvent {
  readonly cpuMs: number;
  /** Null: the event was ended, because it hung. */
  readonly answer: unknown;
}

/** The built hook program, which answers one event after the other. */
export class HookProcess {
  readonly #client: HookClient;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  #lines: AsyncIterator<string> | null = null;
  #sent = 0;

  constructor(client: HookClient, home: string) {
    this.#client = client;
    this.#env = { ...process.env, SHIM_HOME: home, CLAUDECODE: "1" };
  }

  /** Null for an event that the plugin would send by a process of its own. */
  async send(event: string, payload: object): Promise<SentEvent | null> {
    const line = JSON.stringify({ id: (this.#sent += 1), event, payload });
    if (line.length > maxEventLineChars) return null;
    const { child, lines } = this.#start();
    const before = cpuMs(child);
    const watch = setInterval(() => {
      if (cpuMs(child) - before > hangMs) child.kill("SIGKILL");
    }, checkMs);
    child.stdin?.write(`${line}\n`);
    const { value, done } = await lines.next();
    clearInterval(watch);
    if (done === true) {
      this.#child = null;
      return { cpuMs: hangMs, answer: null };
    }
    return { cpuMs: cpuMs(child) - before, answer: JSON.parse(value) };
  }

  async end(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    child.stdin?.end();
    if (child.exitCode === null) await once(child, "exit");
  }

  #start(): { child: ChildProcess; lines: AsyncIterator<string> } {
    if (this.#child !== null && this.#lines !== null) return { child: this.#child, lines: this.#lines };
    const args = [program, "stream", "--client", this.#client];
    const child = spawn(process.execPath, args, { env: this.#env, stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#child = child;
    this.#lines = lines;
    return { child, lines };
  }
}

/** Time on a processor, by the scheduler's own count of each thread (Linux). */
function cpuMs({ pid }: ChildProcess): number {
  const spent = tasksOf(pid).map((path) => Number(readFileSync(path, "utf8").split(" ")[0]));
  return spent.reduce((total, ns) => total + ns / 1e6, 0);
}

function tasksOf(pid: number | undefined): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/schedstat`);
  } catch {
    return [];
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { clientHeader, eventRequest } from "../../src/clients/adapter/hook-program.ts";
import type { HookClient } from "../../src/contract/clients.ts";
import { type HostRequest, requestHost } from "../../src/platform/local-http.ts";
import { hostSocket, markedHost } from "../../src/platform/host-socket.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { messageOf } from "../../src/shared/error.ts";
import { parseJson } from "../../src/shared/json-fields.ts";

const program = join(import.meta.dirname, "..", "..", "dist", "mcp-host.cjs");
/** Ten times the bound: what takes longer is taken for a hang, and ended. */
const hangMs = 10_000;
const checkMs = 500;
const maxAnswerMs = 60_000;
const retryMs = 15;
/** The host joins for 250 ms what a chat's events leave to do after their answers. */
const settleMs = 400;

export interface SentEvent {
  readonly cpuMs: number;
  /** Null: the event was ended, because it hung. */
  readonly answer: unknown;
}

/** The built host of a home, which answers one event after the other. */
export class EventHost {
  readonly #home: string;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;

  /** @param env names the home */
  constructor(home: string, env: NodeJS.ProcessEnv) {
    this.#home = home;
    this.#env = env;
  }

  /** @param statement by which the client's process describes itself */
  async send(client: HookClient, statement: string, event: string, payload: object): Promise<SentEvent> {
    const child = await this.start();
    const before = cpuMs(child);
    const watch = setInterval(() => {
      if (cpuMs(child) - before > hangMs) child.kill("SIGKILL");
    }, checkMs);
    try {
      const input = JSON.stringify(payload);
      const sender = { [clientHeader]: statement };
      const posted = { client, event, input, sender, signal: AbortSignal.timeout(maxAnswerMs) };
      const given = await this.#answerTo(eventRequest(this.#home, this.#env, posted));
      if (given === null) throw new Error("the host has ended");
      return { cpuMs: cpuMs(child) - before, answer: parseJson(given) ?? {} };
    } catch (error) {
      process.stderr.write(`${event}: ${messageOf(error)}\n`);
      this.#child = null;
      return { cpuMs: hangMs, answer: null };
    } finally {
      clearInterval(watch);
    }
  }

  /** Also one that a command has started since. */
  async end(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      child.kill();
      await once(child, "exit");
    }
    const other = markedHost(this.#home, systemProcesses.boot());
    if (other === null || systemProcesses.facts(other.pid)?.start !== other.start) return;
    process.kill(other.pid, "SIGTERM");
    while (systemProcesses.facts(other.pid)?.start === other.start) await pause(retryMs);
  }

  async start(): Promise<ChildProcess> {
    // Its clock leaps with the session: it may have ended after ten minutes without a connection.
    if (this.#child?.exitCode === null) return this.#child;
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    const child = spawn(process.execPath, [program], { env: this.#env, stdio: ["ignore", "ignore", "inherit"] });
    while ((await this.#status()) === null) await pause(retryMs);
    this.#child = child;
    return child;
  }

  /** Resolves once the host has done what follows its last answer, such as a checkpoint. */
  async settle(): Promise<void> {
    if (this.#child === null) return;
    await pause(settleMs);
    await this.#status();
  }

  #status(): Promise<string | null> {
    return this.#answerTo({ method: "GET", path: "/status", signal: AbortSignal.timeout(maxAnswerMs) });
  }

  /** @returns the answer; null while no host listens */
  async #answerTo(request: HostRequest): Promise<string | null> {
    const answer = await requestHost(hostSocket(this.#home, systemProcesses.boot()), request);
    return answer && (await text(answer));
  }
}

/** Time on a processor, by the scheduler's own count of each thread (Linux). */
function cpuMs({ pid }: ChildProcess): number {
  const spent = tasksOf(pid).map(nanosecondsOf);
  return spent.reduce((total, ns) => total + ns / 1e6, 0);
}

/** Of a thread that has ended since it was listed, none. */
function nanosecondsOf(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").split(" ")[0]);
  } catch {
    return 0;
  }
}

function tasksOf(pid: number | undefined): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/schedstat`);
  } catch {
    return [];
  }
}

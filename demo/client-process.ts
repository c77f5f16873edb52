import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Launch } from "../src/platform/shim-command.ts";
import { hasGroups } from "../src/platform/run-program.ts";
import type { Counts, Order, Report } from "./client.ts";
import type { Message } from "#harness/machine/mcp-connection.ts";

interface ClientOptions {
  readonly session: string;
  readonly project: string;
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Launch;
  /** Called for each process that must not outlive the demo. */
  readonly onProcess: (pid: number) => void;
  readonly signal: AbortSignal;
}

/** The client of one chat, in a process of its own that can be killed. */
export class ClientProcess {
  counts: Counts = { requests: 0, tools: 0, failed: 0 };
  /** Durations of the checkpoints so far, in ms. */
  saves: readonly number[] = [];
  readonly #options: ClientOptions;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #act = Promise.withResolvers<Message>();

  constructor(options: ClientOptions) {
    this.#options = options;
    const { launch, project, session, env } = options;
    this.#process = spawn(launch.node, [launch.script, "demo", "--stand-in"], {
      cwd: project,
      env: { ...env, CLAUDE_CODE_SESSION_ID: session, CLAUDE_PROJECT_DIR: project },
      stdio: ["pipe", "pipe", "ignore"],
    });
    const { stdin, stdout } = this.#process;
    if (!stdin || !stdout) throw new Error("the stand-in client has no pipes");
    stdin.on("error", () => undefined);
    createInterface({ input: stdout, crlfDelay: Infinity }).on("line", (line) =>
      this.#onReport(JSON.parse(line) as Report),
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    this.#process
      .on("error", () => undefined)
      .on("close", () => {
        this.#act.reject(new Error("the stand-in client is gone"));
        resolve();
      });
    // An act that nobody waits for may fail.
    this.#act.promise.catch(() => undefined);
    options.onProcess(this.#process.pid ?? -1);
  }

  /** @throws {Error} when the act fails, or the client ends in it */
  async play(act: Order["act"]): Promise<Message> {
    const { signal, launch } = this.#options;
    signal.throwIfAborted();
    const order: Order = { act, launch };
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
    const abort = (): void => this.#act.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await this.#act.promise;
    } finally {
      signal.removeEventListener("abort", abort);
      if (this.#process.exitCode === null && this.#process.signalCode === null) this.#act = Promise.withResolvers();
      this.#act.promise.catch(() => undefined);
    }
  }

  /** Kills client and both server processes: a surviving worker would save the files once more. */
  async kill(server: number): Promise<void> {
    this.#process.kill("SIGKILL");
    process.kill(hasGroups ? -server : server, "SIGKILL");
    await this.#ended;
  }

  async close(): Promise<void> {
    this.#process.stdin?.end();
    await this.#ended;
  }

  #onReport(report: Report): void {
    if ("started" in report) this.#options.onProcess(report.started);
    else if ("error" in report) this.#act.reject(new Error(report.error));
    else {
      this.counts = report.counts;
      this.saves = report.saves;
      this.#act.resolve(report.result);
    }
  }
}

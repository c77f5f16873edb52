import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { HookClient } from "../../src/contract/clients.ts";
import { objectAt, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { EventHost, type SentEvent } from "./event-host.ts";

/** The time of a recorded session, which programs with `preload.mjs` read from a file. It goes on by itself. */
export class SessionClock {
  readonly path: string;
  readonly #file: number;
  #aheadMs = 0;

  /** @param at epoch ms */
  constructor(path: string, at: number) {
    this.path = path;
    this.#file = openSync(path, "w");
    this.#set(at - Date.now());
  }

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Never puts it back. */
  putOnTo(at: number): void {
    if (at > this.now()) this.#set(at - Date.now());
  }

  close(): void {
    closeSync(this.#file);
  }

  #set(aheadMs: number): void {
    this.#aheadMs = aheadMs;
    writeSync(this.#file, new Float64Array([aheadMs]), 0, Float64Array.BYTES_PER_ELEMENT, 0);
  }
}

const program = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");
const preload = new URL("preload.mjs", import.meta.url).href;
const run = promisify(execFile);

export interface Resumed {
  /** "" where SHIM has none. */
  readonly brief: string;
  /** Why there is none. */
  readonly refusal: string | null;
}

/** A machine with SHIM's built programs, a home of its own, and the clock of a recorded session. */
export class Machine {
  readonly #folder: string;
  readonly #cwd: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #host: EventHost;
  readonly clock: SessionClock;
  #client: ChildProcess | null = null;

  /**
   * @param folder is made
   * @param cwd where commands are typed
   * @param at what its clock says, epoch ms
   */
  constructor(folder: string, cwd: string, at: number) {
    this.#folder = folder;
    this.#cwd = cwd;
    const home = join(folder, "home");
    mkdirSync(home, { recursive: true });
    this.clock = new SessionClock(join(folder, "clock"), at);
    this.#env = {
      PATH: process.env["PATH"],
      TMPDIR: process.env["TMPDIR"],
      HOME: home,
      SHIM_HOME: this.#shimHome,
      CLAUDECODE: "1",
      NODE_OPTIONS: `--import=${preload}`,
      SHIM_BENCH_CLOCK: this.clock.path,
    };
    this.#host = new EventHost(this.#shimHome, this.#env);
  }

  get #shimHome(): string {
    return join(this.#folder, "shim");
  }

  /** An event of a hook of the client, which lives until {@link killClient}. */
  send(client: HookClient, event: string, payload: JsonObject): Promise<SentEvent> {
    this.#client ??= spawn("sleep", ["infinity"], { env: this.#env, stdio: "ignore" });
    return this.#host.send(client, readFileSync(`/proc/${this.#client.pid}/stat`, "utf8").trim(), event, payload);
  }

  async killClient(): Promise<void> {
    if (this.#client === null) return;
    await this.#host.settle();
    const gone = once(this.#client, "exit");
    this.#client.kill("SIGKILL");
    await gone;
    this.#client = null;
  }

  /** `shim resume --print` of a session, or of a transcript. */
  async resume(...args: readonly string[]): Promise<Resumed> {
    await this.#host.start();
    const answer = await this.#ask("resume", "--print", ...args);
    const brief = textAt(answer, "brief") ?? "";
    return { brief, refusal: brief === "" ? (textAt(objectAt(answer, "error"), "code") ?? "no answer") : null };
  }

  /** `shim sessions recall`; "" for words that it refuses. */
  async recall(session: string, words: string): Promise<string> {
    return textAt(await this.#ask("sessions", "recall", session, "--", words), "text") ?? "";
  }

  async #ask(...args: readonly string[]): Promise<JsonObject | null> {
    const options = { cwd: this.#cwd, env: this.#env, maxBuffer: 64e6 };
    const [command = "", ...rest] = args;
    const { stdout } = await run(process.execPath, [program, command, "--json", ...rest], options).catch(
      (error: unknown) => error as { stdout: string },
    );
    return parseObject(stdout);
  }

  /** Ends all that it has started. */
  async remove(): Promise<void> {
    await this.killClient();
    await this.#host.end();
    this.clock.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

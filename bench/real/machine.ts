import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { HookClient } from "../../src/contract/clients.ts";
import * as journal from "../../src/machine/sessions/journal.ts";
import { pathsIn } from "../../src/platform/paths.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { Store } from "../../src/store/store.ts";
import { EventHost, type SentEvent } from "./event-host.ts";
import { SessionClock } from "./session-clock.ts";

const program = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");
const preload = new URL("preload.mjs", import.meta.url).href;
const maxRows = 200_000;
const run = promisify(execFile);

export interface Resumed {
  readonly session: string;
  /** "" where SHIM has none. */
  readonly brief: string;
  /** Why there is none. */
  readonly refusal: string | null;
  /** Of the command and the host. */
  readonly cpuMs: number;
  /** The most memory of one of them, in bytes. */
  readonly memory: number;
}

/** A machine with SHIM's built programs, a home of its own, and the clock of a recorded session. */
export class Machine {
  readonly #folder: string;
  readonly #cwd: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #host: EventHost;
  readonly #usage: string;
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
    this.#usage = join(folder, "usage");
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
    const before = await this.#host.used();
    rmSync(this.#usage, { force: true });
    const env = { ...this.#env, SHIM_BENCH_USAGE: this.#usage };
    const options = { cwd: this.#cwd, env, maxBuffer: 64e6 };
    const { stdout } = await run(process.execPath, [program, "resume", "--print", "--json", ...args], options).catch(
      (error: unknown) => error as { stdout: string },
    );
    const after = await this.#host.used();
    const used = this.#usageOfCommand();
    const answer = parseObject(stdout);
    const brief = textAt(answer, "brief") ?? "";
    const failed = objectAt(answer, "error");
    return {
      session: textAt(answer, "session") ?? "",
      brief,
      refusal: brief === "" ? (textAt(failed, "code") ?? "no answer") : null,
      cpuMs: used.cpuMs + after.cpuMs - before.cpuMs,
      memory: Math.max(used.bytes, after.bytes),
    };
  }

  /** The launcher and the program are one process or two. */
  #usageOfCommand(): { readonly cpuMs: number; readonly bytes: number } {
    const used = readFileSync(this.#usage, "utf8").split("\n").map(parseObject);
    const cpuUs = used.map((one) => (numberAt(one, "userCPUTime") ?? 0) + (numberAt(one, "systemCPUTime") ?? 0));
    const kilobytes = used.map((one) => numberAt(one, "maxRSS") ?? 0);
    return { cpuMs: cpuUs.reduce((sum, one) => sum + one, 0) / 1_000, bytes: Math.max(...kilobytes) * 1_024 };
  }

  /** What is stored of a session. Ends the host: its store has one owner. */
  async rows(session: string): Promise<readonly journal.JournalRow[]> {
    await this.#host.end();
    const path = pathsIn(this.#shimHome).database;
    if (!existsSync(path)) return [];
    const store = new Store({ path, driver: openBetterSqlite3, now: () => this.clock.now() });
    try {
      return store.read((sql) => journal.list(sql, session, 0, maxRows), []);
    } finally {
      store.close();
    }
  }

  /** Ends all that it has started. */
  async remove(): Promise<void> {
    await this.killClient();
    await this.#host.end();
    this.clock.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import { cpSync, rmSync } from "node:fs";
import { adapterOf } from "../../src/clients/adapters.ts";
import { run } from "../../src/cli/commands/program.ts";
import { systemIo } from "../../src/cli/system-io.ts";
import type { HookClient } from "../../src/contract/clients.ts";
import { defaults } from "../../src/contract/config.ts";
import { answerHook } from "../../src/local-mcp/hooks/answer-hook.ts";
import { importTranscript } from "../../src/local-mcp/portable/import-transcript.ts";
import { scoredBrief } from "../../src/local-mcp/recovery/brief.ts";
import { restoreById } from "../../src/local-mcp/recovery/restoration.ts";
import * as journal from "../../src/local-mcp/sessions/journal.ts";
import { pathsIn } from "../../src/platform/paths.ts";
import { Durations } from "../../src/runtime/durations.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { parseObject, textAt, objectAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { Store } from "../../src/store/store.ts";
import { Random } from "../restore/random.ts";

const clientPid = 4_000;
const client = { parent: 1, start: "1", command: "client", residentBytes: 1 };
const bundle = new URL("../../dist/cli.cjs", import.meta.url).href;

const maxRows = 200_000;

export interface StoredTranscript {
  readonly client: string;
  readonly rows: readonly journal.JournalRow[];
}

export interface Resumed {
  /** "" where SHIM has none. */
  readonly brief: string;
  /** Why there is none. */
  readonly refusal: string | null;
  readonly cpuMs: number;
}

/** SHIM's home on a machine whose clock and process table are the bench's, with the real store, hooks and commands. */
export class Machine {
  readonly #folder: string;
  readonly #cwd: string;
  readonly #random = new Random(1);
  #recording: Runtime | null = null;
  /** What SHIM logged, without what it is about. */
  readonly problems: string[] = [];
  isClientAlive = true;
  /** Epoch ms. */
  now: number;

  /** @param cwd where commands are typed */
  constructor(folder: string, cwd: string, now: number) {
    this.#folder = folder;
    this.#cwd = cwd;
    this.now = now;
  }

  send(client: HookClient, event: string, payload: JsonObject): void {
    const adapter = adapterOf(client);
    if (adapter === null) throw new Error(`no adapter of ${client}`);
    this.#recording ??= this.#open();
    answerHook(this.#recording, event, () => JSON.stringify(payload), clientPid, adapter);
  }

  /** Another machine in the same state, with the client dead. */
  copy(folder: string): Machine {
    this.close();
    cpSync(this.#folder, folder, { recursive: true });
    const other = new Machine(folder, this.#cwd, this.now);
    other.isClientAlive = false;
    return other;
  }

  /** `shim resume` of a session, or of a transcript. */
  async resume(...args: readonly string[]): Promise<Resumed> {
    let out = "";
    const runtime = this.#open();
    const before = process.cpuUsage();
    await run(["resume", "--print", "--json", ...args], {
      ...systemIo(bundle),
      stdout: (text) => void (out += text),
      stderr: () => undefined,
      isTty: false,
      isInteractive: false,
      env: runtime.env,
      cwd: this.#cwd,
      now: runtime.now,
      makeRuntime: async () => ({ runtime, driver: "better-sqlite3", fallbackReason: null }),
    });
    const { user, system } = process.cpuUsage(before);
    const answer = parseObject(out);
    const brief = textAt(answer, "brief") ?? "";
    const refusal = brief === "" ? (textAt(objectAt(answer, "error"), "code") ?? "no answer") : null;
    return { brief, refusal, cpuMs: (user + system) / 1_000 };
  }

  /** Processor ms from the store to the text of a brief, with what git is asked; 0: there is none. */
  briefMs(session: string): number {
    const runtime = this.#open();
    const before = process.cpuUsage();
    const from = restoreById(runtime, session);
    if (from === null) return 0;
    scoredBrief(from, this.now, "brief");
    const { user, system } = process.cpuUsage(before);
    runtime.store.close();
    return (user + system) / 1_000;
  }

  /** A transcript as SHIM stores it; null: SHIM refuses it. */
  import(path: string): StoredTranscript | null {
    this.#recording ??= this.#open();
    const imported = importTranscript(this.#recording, { path, folder: this.#cwd });
    if (!imported.ok) return null;
    const { client, session } = imported.value;
    return { client, rows: this.#recording.store.read((sql) => journal.list(sql, session, 0, maxRows), []) };
  }

  close(): void {
    this.#recording?.store.close();
    this.#recording = null;
  }

  remove(): void {
    this.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #open(): Runtime {
    const paths = pathsIn(this.#folder);
    const now = (): number => this.now;
    return {
      now,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => this.#random.between(0, 255)),
      env: { SHIM_HOME: this.#folder, HOME: this.#folder, PATH: process.env["PATH"], CLAUDECODE: "1" },
      launch: { node: process.execPath, script: "/opt/shim/bin/shim.mjs", hookScript: "/opt/shim/dist/hook.cjs" },
      paths,
      config: defaults,
      processes: {
        boot: () => "boot-1",
        facts: (pid) => (pid === clientPid && this.isClientAlive ? client : null),
      },
      store: new Store({ path: paths.database, driver: openBetterSqlite3, now }),
      log: (level, message) => void this.problems.push(`${level}: ${message}`),
      durations: new Durations(() => 0),
    };
  }
}

import { readdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { runningHost } from "../src/local-mcp/host-client/host-status.ts";
import { findIncomplete } from "../src/machine/recovery/incomplete/detect.ts";
import { findSnapshot, type StoredSnapshotRow } from "../src/machine/sessions/session-content.ts";
import type { Launch } from "../src/platform/shim-command.ts";
import { identify, isAlive, systemProcesses, type ProcessIdentity } from "../src/platform/processes.ts";
import { restoreFiles } from "../src/snapshots/restore-files.ts";
import type { Driver } from "../src/store/driver.ts";
import { Store } from "../src/store/store.ts";
import { ClientProcess } from "./client-process.ts";
import type { Counts } from "./client.ts";
import { pollUntil, Scene } from "./scene.ts";
import * as story from "./chat-story.ts";
import { claimOf } from "../src/machine/sessions/recoveries.ts";

export interface DemoOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Launch;
  readonly driver: Driver;
  readonly now: () => number;
  readonly newId: () => string;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

interface Check {
  readonly what: string;
  readonly isBack: boolean;
  readonly detail: string;
}

export interface DemoResult {
  readonly isComplete: boolean;
  readonly checks: readonly Check[];
  readonly worked: Counts;
  readonly times: {
    /** Duration of each checkpoint through MCP, from the call to the answer. */
    readonly saves: readonly number[];
    /** Time from kill -9 until the session counts as incomplete. */
    readonly deathNoticed: number;
    readonly briefReady: number;
    readonly filesRestored: number;
  };
  readonly brief: string;
}

/** Longest wait for what other processes do. */
const maxWaitMs = 30_000;

/**
 * Demo with real processes in a real git project: a chat is killed in a tool, a second continues.
 * Missing content is a failed check. No process and no file is left.
 *
 * @throws {Error} when the work before the kill is not possible (no git, a failed start)
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const scene = new Scene("demo", "till", options.env);
  const store = new Store({ path: scene.paths.database, driver: options.driver, now: options.now });
  const demo = new Demo(options, scene, store);
  try {
    scene.makeProject(story.project, "Add up prices");
    return await demo.run();
  } finally {
    await demo.endAll();
    store.close();
    scene.remove();
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #scene: Scene;
  readonly #store: Store;
  readonly #checks: Check[] = [];
  readonly #clients: ClientProcess[] = [];
  readonly #started: ProcessIdentity[] = [];
  #host: ProcessIdentity | null = null;

  constructor(options: DemoOptions, scene: Scene, store: Store) {
    this.#options = options;
    this.#scene = scene;
    this.#store = store;
  }

  async run(): Promise<DemoResult> {
    const { progress, newId } = this.#options;
    const [firstId, secondId] = [newId(), newId()];
    progress("A chat works in a git project ...");
    const first = this.#client(firstId);
    const { server, checkpoint } = await first.play("work");
    const snapshot = await this.#until("the files of the checkpoint are saved", () =>
      this.#snapshot(String(checkpoint)),
    );
    const asSaved = filesIn(this.#scene.project);
    const tool = await first.play("hang");
    progress(`kill -9 of the client, its MCP process and the host, while \`${story.slowCommand}\` runs ...`);
    await this.#noteHost();
    const killedAt = performance.now();
    this.#killHost();
    await first.kill(Number(server));
    await this.#until("the death is noticed", () => this.#isIncomplete(firstId) || null);
    const deathNoticed = performance.now() - killedAt;
    this.#scene.write("price.mjs", story.edits.later);
    unlinkSync(this.#scene.inProject("currency.txt"));
    progress("A second chat starts ...");
    const second = this.#client(secondId);
    const opened = await second.play("open");
    const brief = String(opened["context"]);
    this.#checkBrief(brief);
    await this.#continueWork(second, firstId, secondId);
    const filesRestored = await this.#restore(snapshot, asSaved);
    // The tool survived its client, as tools do; the demo ends no other leftover process.
    this.#kill(({ pid }) => pid === tool["pid"]);
    await this.#checkEnd(second);
    const saves = [...first.saves, ...second.saves];
    return {
      isComplete: this.#checks.every(({ isBack }) => isBack),
      checks: this.#checks,
      worked: first.counts,
      times: { saves, deathNoticed, briefReady: Number(opened["ms"]), filesRestored },
      brief,
    };
  }

  /** A host that the demo has started is one of its processes. */
  async #noteHost(): Promise<void> {
    const asked = await runningHost({ paths: this.#scene.paths }, "GET", "/status");
    const pid = asked.ok ? asked.value.host?.pid : undefined;
    const host = pid === undefined ? null : identify(systemProcesses, pid);
    if (host) this.#started.push(host);
    this.#host = host;
  }

  #killHost(): void {
    const host = this.#host;
    this.#kill((one) => one === host);
  }

  /** A running hook would recreate its files after the removal, so clients may finish first. */
  async endAll(): Promise<void> {
    const closed = Promise.all(this.#clients.map((client) => client.close()));
    await this.#noteHost();
    await Promise.race([closed, pause(maxWaitMs, undefined, { ref: false })]);
    this.#kill(() => true);
    await this.#untilQuiet();
  }

  #client(session: string): ClientProcess {
    const { project, env } = this.#scene;
    const { launch, signal } = this.#options;
    const onProcess = (pid: number): void => {
      const found = identify(systemProcesses, pid);
      if (found) this.#started.push(found);
    };
    const client = new ClientProcess({ session, project, env, launch, signal, onProcess });
    this.#clients.push(client);
    return client;
  }

  #alive(): ProcessIdentity[] {
    return this.#started.filter((one) => isAlive(systemProcesses, one));
  }

  /** Sends kill -9, unless the pid belongs to another process by now. */
  #kill(isMeant: (one: ProcessIdentity) => boolean): void {
    for (const { pid } of this.#alive().filter(isMeant)) process.kill(pid, "SIGKILL");
  }

  #untilQuiet(): Promise<true> {
    return this.#until("all processes have ended", () => this.#alive().length === 0 || null);
  }

  #until<T>(what: string, find: () => T | null): Promise<T> {
    return pollUntil(what, find, { maxMs: maxWaitMs, everyMs: 2 });
  }

  #snapshot(checkpoint: string): StoredSnapshotRow | null {
    const row = this.#store.read((sql) => findSnapshot(sql, checkpoint), null);
    if (row?.state === "failed" || row?.state === "skipped") throw new Error(`files not saved: ${row.reason}`);
    return row?.state === "done" ? row : null;
  }

  #isIncomplete(session: string): boolean {
    const machine = { processes: systemProcesses, now: this.#options.now };
    return this.#store.read((sql) => findIncomplete(sql, machine).some((one) => one.session.id === session), false);
  }

  #checkBrief(context: string): void {
    for (const { what, texts } of story.expectedBrief()) {
      const lines = context.split("\n");
      const found = texts.map((text) => lines.find((line) => line.includes(text)));
      const isBack = found.every((line) => line !== undefined);
      this.#check(what, isBack, [...new Set(found)].join("; "), `expected: ${texts.join("; ")}`);
    }
  }

  async #continueWork(client: ClientProcess, firstId: string, secondId: string): Promise<void> {
    const answer = await client.play("continue");
    const text = String(answer["brief"]);
    const isSame = text.includes(story.notes.goal) && text.includes(firstId);
    this.#check("asked again", isSame, "the chat can ask for the same brief at any time", JSON.stringify(answer));
    const claim = this.#store.read((sql) => claimOf(sql, firstId), null);
    const isTaken = claim?.is === "recovered" && claim.by === secondId;
    this.#check("taken over", isTaken, "the second chat has it; no third one is offered it", `${claim?.is}`);
  }

  async #restore(snapshot: StoredSnapshotRow, asSaved: ReadonlyMap<string, Buffer>): Promise<number> {
    const { repository, commit } = snapshot;
    if (repository === null || commit === null) throw new Error("a snapshot that is done has a commit");
    const into = join(this.#scene.root, "restored");
    const { env } = this.#scene;
    const startedAt = performance.now();
    const target = { into, now: this.#options.now(), timeoutMs: maxWaitMs };
    const done = await restoreFiles({ env, processes: systemProcesses, repository, commit, ...target });
    const ms = performance.now() - startedAt;
    const restored = done.ok ? filesIn(into) : new Map<string, Buffer>();
    const different = [...asSaved].filter(([name, bytes]) => !restored.get(name)?.equals(bytes)).map(([name]) => name);
    const isSame = different.length === 0 && restored.size === asSaved.size;
    const problem = done.ok ? `different: ${different.join(", ")}` : done.error.message;
    this.#check("files of the snapshot", isSame, `${restored.size} files, byte for byte as they were`, problem);
    return ms;
  }

  async #checkEnd(client: ClientProcess): Promise<void> {
    const { stray } = await client.play("leave");
    const lines = Array.isArray(stray) ? stray : [];
    if (lines.length > 0) this.#check("nothing in the way", false, "", `SHIM wrote to the client: ${lines.join("; ")}`);
    await client.close();
    await this.#noteHost();
    await runningHost({ paths: this.#scene.paths }, "POST", "/stop");
    const isQuiet = await this.#untilQuiet().catch(() => false);
    this.#check("nothing left", isQuiet, "all that was started here has ended", JSON.stringify(this.#alive()));
  }

  #check(what: string, isBack: boolean, found: string, missing: string): void {
    this.#checks.push({ what, isBack, detail: isBack ? found : missing });
  }
}

function filesIn(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder).filter((name) => name !== ".git");
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name))]));
}

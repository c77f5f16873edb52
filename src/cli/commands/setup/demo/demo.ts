import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { age } from "../../../../shared/format.ts";
import { findIncomplete } from "../../../../local-mcp/recovery/detect.ts";
import { systemProcesses } from "../../../../platform/processes.ts";
import * as sessions from "../../../../local-mcp/sessions/sessions.ts";
import { findSnapshot, type StoredSnapshotRow } from "../../../../local-mcp/sessions/session-content.ts";
import { restoreFiles } from "../../../../snapshots/restore-files.ts";
import type { Driver } from "../../../../store/driver.ts";
import { Store } from "../../../../store/store.ts";
import { Chat, type Programs } from "./chat.ts";
import { Scene } from "./scene.ts";
import * as story from "./story.ts";

export interface DemoOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly programs: Programs;
  readonly driver: Driver;
  readonly now: () => number;
  readonly newId: () => string;
  readonly node: string;
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
  readonly worked: { readonly requests: number; readonly tools: number; readonly failed: number };
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

const maxWaitMs = 10_000;

/**
 * Demo with real processes in a real git project: a chat is killed in a tool, a second continues.
 * [DE1] Missing content is a failed check. [DE2] No process and no file is left.
 *
 * @throws {Error} when the work before the kill is not possible (no git, a failed start)
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const scene = new Scene(options.env, systemProcesses);
  const store = new Store({ path: scene.paths.database, driver: options.driver, now: options.now });
  const demo = new Demo(options, scene, store);
  try {
    scene.makeProject();
    return await demo.run();
  } finally {
    await demo.tidyUp();
    store.close();
    scene.remove();
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #scene: Scene;
  readonly #store: Store;
  readonly #saves: number[] = [];
  readonly #checks: Check[] = [];
  readonly #chats: Chat[] = [];

  constructor(options: DemoOptions, scene: Scene, store: Store) {
    this.#options = options;
    this.#scene = scene;
    this.#store = store;
  }

  async run(): Promise<DemoResult> {
    const { progress, newId } = this.#options;
    const [firstId, secondId] = [newId(), newId()];
    progress("A chat works in a git project ...");
    const first = this.#chat(firstId);
    const checkpoint = await this.#work(first);
    const snapshot = await this.#until("the files of the checkpoint are saved", () => this.#snapshot(checkpoint));
    const asSaved = this.#scene.files();
    const tool = await first.beginBash(story.slowCommand, { command: this.#options.node, args: ["migrate.mjs"] });
    progress(`kill -9 of the client and of its MCP process, while \`${story.slowCommand}\` runs ...`);
    const deathNoticed = await this.#killChat(first, firstId);
    this.#scene.write("price.mjs", story.edits.later);
    unlinkSync(this.#scene.inProject("currency.txt"));
    progress("A second chat starts ...");
    const second = this.#chat(secondId);
    const { context, ms } = await second.start();
    this.#checkBrief(context);
    await this.#continueWork(second, firstId, secondId);
    const filesRestored = await this.#restore(snapshot, asSaved);
    // The tool survived its client, as tools do; the demo ends no other leftover process.
    this.#scene.kill(tool);
    await this.#checkEnd(second);
    return {
      isComplete: this.#checks.every(({ isBack }) => isBack),
      checks: this.#checks,
      worked: first.counts,
      times: { saves: this.#saves, deathNoticed, briefReady: ms, filesRestored },
      brief: context,
    };
  }

  #chat(session: string): Chat {
    const { project, env } = this.#scene;
    const { programs, signal } = this.#options;
    const onProcess = (pid: number): void => this.#scene.track(pid);
    const chat = new Chat({ session, project, env, programs, signal, onProcess });
    this.#chats.push(chat);
    return chat;
  }

  /** A running hook would recreate its files after the removal, so clients may finish first. */
  async tidyUp(): Promise<void> {
    const closed = Promise.all(this.#chats.map((chat) => chat.close()));
    await Promise.race([closed, pause(maxWaitMs, undefined, { ref: false })]);
    this.#scene.killAll();
    await this.#until("all processes have ended", () => this.#isQuiet());
  }

  #isQuiet(): true | null {
    return this.#scene.alive().length === 0 ? true : null;
  }

  async #work(chat: Chat): Promise<string> {
    await Promise.all([chat.start(), chat.serve()]);
    await chat.prompt(story.firstPrompt);
    await this.#read(chat, "price.mjs");
    await this.#edit(chat, "price.mjs", story.edits.price);
    await this.#save(chat, "shim_auto_checkpoint", { doing: "Writing a test" });
    await this.#create(chat, "price.test.mjs", story.test);
    const test = await chat.bash("node --test", {
      command: this.#options.node,
      args: ["--test", "--test-reporter=tap"],
    });
    if (!test.failed) throw new Error(`the project's test must fail at this point: ${test.output}`);
    await this.#save(chat, "shim_force_checkpoint", story.notes);
    await chat.hook("Stop", { last_assistant_message: story.firstAnswer });
    await chat.prompt(story.lastPrompt);
    await chat.use("TodoWrite", { todos: story.todos }, () => ({ oldTodos: [], newTodos: story.todos }));
    await this.#edit(chat, "README.md", story.edits.readme);
    await this.#create(chat, "currency.txt", story.edits.currency);
    await this.#save(chat, "shim_auto_checkpoint", { doing: "Asking which currency" });
    const last = await this.#save(chat, "shim_auto_checkpoint", { doing: story.doing, next: story.nextStep });
    return String(last["checkpoint"]);
  }

  async #read(chat: Chat, name: string): Promise<void> {
    const path = this.#scene.inProject(name);
    await chat.use("Read", { file_path: path }, () => ({ type: "text", file: { filePath: path } }));
  }

  async #edit(chat: Chat, name: string, content: string): Promise<void> {
    const path = this.#scene.inProject(name);
    await chat.use("Edit", { file_path: path }, () => {
      this.#scene.write(name, content);
      return { filePath: path };
    });
  }

  async #create(chat: Chat, name: string, content: string): Promise<void> {
    const path = this.#scene.inProject(name);
    await chat.use("Write", { file_path: path, content }, () => {
      this.#scene.write(name, content);
      return { type: "create", filePath: path };
    });
  }

  async #save(chat: Chat, tool: string, given: Record<string, unknown>): Promise<Record<string, unknown>> {
    const startedAt = performance.now();
    const answer = await chat.call(tool, given);
    this.#saves.push(performance.now() - startedAt);
    if (answer["checkpoint"] === undefined) throw new Error(`${tool} saved nothing: ${JSON.stringify(answer)}`);
    return answer;
  }

  #snapshot(checkpoint: string): StoredSnapshotRow | null {
    const row = this.#store.read((sql) => findSnapshot(sql, checkpoint), null);
    if (row?.state === "failed" || row?.state === "skipped") throw new Error(`files not saved: ${row.reason}`);
    return row?.state === "done" ? row : null;
  }

  async #killChat(chat: Chat, session: string): Promise<number> {
    const startedAt = performance.now();
    await chat.kill();
    await this.#until("the death is noticed", () => this.#isIncomplete(session) || null);
    return performance.now() - startedAt;
  }

  #isIncomplete(session: string): boolean {
    const now = this.#options.now();
    return this.#store.read(
      (sql) => findIncomplete(sql, systemProcesses, now).some((one) => one.session.id === session),
      false,
    );
  }

  #checkBrief(context: string): void {
    for (const { what, texts } of story.expectedBrief()) {
      const lines = context.split("\n");
      const found = texts.map((text) => lines.find((line) => line.includes(text)));
      const isBack = found.every((line) => line !== undefined);
      this.#check(what, isBack, isBack ? [...new Set(found)].join("; ") : `expected: ${texts.join("; ")}`);
    }
  }

  async #continueWork(chat: Chat, firstId: string, secondId: string): Promise<void> {
    await chat.serve();
    const answer = await chat.call("shim_check_recovery", {});
    const text = String(answer["brief"]);
    const isSame = text.includes(`goal: ${story.notes.goal}`) && text.includes(firstId);
    this.#check("brief by tool", isSame, isSame ? "shim_check_recovery answers it too" : JSON.stringify(answer));
    await chat.call("shim_check_recovery", { take: true });
    await this.#save(chat, "shim_auto_checkpoint", { doing: story.doing });
    const session = this.#store.read((sql) => sessions.get(sql, firstId), null);
    const isTaken = session?.recovery === "recovered" && session.recoveryBy === secondId;
    this.#check(
      "taken over",
      isTaken,
      isTaken ? "by the second chat; it is not offered again" : `${session?.recovery}`,
    );
  }

  async #restore(snapshot: StoredSnapshotRow, asSaved: ReadonlyMap<string, Buffer>): Promise<number> {
    const { repository, commit } = snapshot;
    if (repository === null || commit === null) throw new Error("a snapshot that is done has a commit");
    const into = join(this.#scene.root, "restored");
    const { env } = this.#scene;
    const startedAt = performance.now();
    const now = this.#options.now();
    const done = await restoreFiles({
      env,
      processes: systemProcesses,
      repository,
      commit,
      into,
      now,
      timeoutMs: maxWaitMs,
    });
    const ms = performance.now() - startedAt;
    const restored = done.ok ? this.#scene.files(into) : new Map<string, Buffer>();
    const different = [...asSaved].filter(([name, bytes]) => !restored.get(name)?.equals(bytes)).map(([name]) => name);
    const isSame = different.length === 0 && restored.size === asSaved.size;
    const problem = done.ok ? `different: ${different.join(", ")}` : done.error.message;
    this.#check("files of the snapshot", isSame, isSame ? `${restored.size} files, the same byte for byte` : problem);
    return ms;
  }

  async #checkEnd(chat: Chat): Promise<void> {
    await chat.call("shim_force_checkpoint", { goal: story.notes.goal, finish: true });
    const stray = await chat.leave();
    this.#check("clean stdout", stray.length === 0, stray.length === 0 ? "nothing but the protocol" : stray.join("; "));
    const left = await this.#until("all processes have ended", () => this.#isQuiet()).then(
      () => [],
      () => this.#scene.alive(),
    );
    this.#check(
      "no process left",
      left.length === 0,
      left.length === 0 ? "by pid and start time" : JSON.stringify(left),
    );
  }

  #check(what: string, isBack: boolean, detail: string): void {
    this.#checks.push({ what, isBack, detail });
  }

  async #until<T>(what: string, find: () => T | null): Promise<T> {
    const end = performance.now() + maxWaitMs;
    for (;;) {
      const found = find();
      if (found !== null) return found;
      if (performance.now() > end) throw new Error(`waited ${age(maxWaitMs)} in vain until ${what}`);
      await pause(2);
    }
  }
}

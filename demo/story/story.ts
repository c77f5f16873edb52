import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { OutputOf } from "../../src/contract/operations.ts";
import * as sessions from "../../src/machine/sessions/sessions.ts";
import { openNodeSqlite } from "../../src/store/driver-node-sqlite.ts";
import { Store } from "../../src/store/store.ts";
import {
  startScriptedModel,
  type ModelRequest,
  type ScriptedModel,
  type Step,
} from "../../test/harness/claude/scripted-model.ts";
import { pollUntil } from "../scene.ts";
import { edgeHost, localHost, type Host, Machine } from "./machine.ts";
import { LeadChat, LoneChat, killed, TeamChat, type Kill, type StoryEvent } from "./team-chat.ts";
import { tasks, type ChatName, type Waits } from "./plan.ts";
import { firstFiles } from "./project.ts";

/** `local`: all chats on one machine, in one checkout. `edge`: on two machines, each with a clone, and workerd. */
export type HostName = "local" | "edge";

export interface StoryOptions {
  readonly host: HostName;
  readonly waits: Waits;
  readonly kill: Kill;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: TimedEvent) => void;
}

export interface TimedEvent extends StoryEvent {
  /** Since the start of all chats. */
  readonly ms: number;
}

type Attempt = OutputOf<"tasks.history">["attempts"][number];

/** One attempt of one task, in ms since the start of all chats. */
interface Span extends Pick<Attempt, "chat" | "end" | "attempt"> {
  readonly startMs: number;
  readonly endMs: number;
}

export interface TaskRecord extends Pick<OutputOf<"tasks.get">, "task" | "ref" | "type" | "state" | "result"> {
  /** Oldest first. */
  readonly spans: readonly Span[];
}

export interface TeamRun {
  readonly events: readonly TimedEvent[];
  /** The six tasks, then that of the summary. */
  readonly records: readonly TaskRecord[];
  /** When the last of the six tasks was done. */
  readonly doneMs: number;
  readonly summary: string;
  readonly kill: { readonly chat: string; readonly ms: number; readonly session: string };
  /** What the supervisors reported to be wrong. */
  readonly problems: readonly string[];
}

const patienceMs = 30 * 60_000;
const pollMs = 20;
const leadPrompt = "You lead the work on the shop. Submit the job, follow it, and summarise it when it is done.";
const lonePrompt = "Do the six tasks on the shop, one after the other.";

function promptOf(name: string): string {
  return `You are the ${name} chat of the shop. Take the tasks of type ${name}, one after the other, until none is left.`;
}

/** The founding story: three chats of the real client share six tasks, one is killed, and a fourth has submitted the job. */
export class Story {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "shim-story-")));
  readonly #options: StoryOptions;
  readonly #events: TimedEvent[] = [];
  #startedAt = Date.now();
  #model: ScriptedModel | null = null;
  #host: Host | null = null;
  #machines: readonly Machine[] = [];

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  /** The machine of the chat that leads, and has merged all work in the end. */
  get lead(): Machine {
    return this.#machines.at(-1) ?? fail("no machine was started");
  }

  get machines(): readonly Machine[] {
    return this.#machines;
  }

  /** The six tasks by the team. */
  async team(): Promise<TeamRun> {
    const { host, kill, waits } = this.#options;
    const names = host === "local" ? ["machine"] : ["desktop", "laptop"];
    const scripts = new Map<string, { answer(request: ModelRequest): Step }>();
    await this.#open(names, scripts);
    const [first = fail("no machine")] = this.#machines;
    const machineOf = (chat: ChatName): Machine => (chat === "tests" ? this.lead : first);
    for (const { chat } of tasks) {
      if (scripts.has(promptOf(chat))) continue;
      const options = { folder: machineOf(chat).project, waits, onEvent: this.#onEvent };
      scripts.set(promptOf(chat), new TeamChat(chat, options, kill));
    }
    scripts.set(leadPrompt, new LeadChat({ folder: this.lead.project, waits, onEvent: this.#onEvent }));
    this.#host = host === "local" ? localHost(first) : await edgeHost(this.#machines, join(this.root, "workerd"));
    this.#startedAt = Date.now();
    for (const machine of this.#machines) {
      const chats = (["frontend", "backend", "tests"] as const).filter((chat) => machineOf(chat) === machine);
      const prompts = chats.map((chat): [string, string] => [chat, promptOf(chat)]);
      machine.start(Object.fromEntries(machine === this.lead ? [...prompts, ["lead", leadPrompt]] : prompts));
    }
    const death = await this.#kill(machineOf(kill.chat));
    const summary = await this.#finished(this.lead, "lead");
    for (const chat of ["frontend", "backend", "tests"] as const) await this.#finished(machineOf(chat), chat);
    const records = await Promise.all(tasks.map((_, index) => this.#recordOf(index + 1)));
    const doneMs = Math.max(...records.flatMap(({ spans }) => spans.map(({ endMs }) => endMs)));
    const problems = this.#machines.flatMap((machine) => machine.problems());
    const all = [...records, await this.#recordOf(tasks.length + 1)];
    return { events: this.#events, records: all, doneMs, summary, kill: death, problems };
  }

  /** The six tasks by one chat, in ms until the last one was done. */
  async alone(): Promise<number> {
    const { waits } = this.#options;
    const scripts = new Map<string, { answer(request: ModelRequest): Step }>();
    await this.#open(["alone"], scripts);
    scripts.set(lonePrompt, new LoneChat({ folder: this.lead.project, waits, onEvent: this.#onEvent }));
    this.#startedAt = Date.now();
    this.lead.start({ alone: lonePrompt });
    await this.#finished(this.lead, "alone");
    return this.#events.at(-1)?.ms ?? fail("the chat has done nothing");
  }

  /** Ends all that was started, and removes all files. @returns exit codes of the supervisors, and processes that stayed */
  async close(): Promise<{ readonly codes: readonly (number | null)[]; readonly left: readonly number[] }> {
    for (const machine of this.#machines) machine.remember();
    const codes = await Promise.all(this.#machines.map((machine) => machine.end()));
    await this.#model?.close();
    await this.#host?.close();
    const left = (): number[] => this.#machines.flatMap((machine) => machine.left().map(({ pid }) => pid));
    await pollUntil("all processes have ended", () => left().length === 0 || null, {
      maxMs: 10_000,
      everyMs: pollMs,
    }).catch(() => null);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    return { codes, left: left() };
  }

  async #open(
    names: readonly string[],
    scripts: ReadonlyMap<string, { answer(request: ModelRequest): Step }>,
  ): Promise<void> {
    const answer = (request: ModelRequest): Step => scriptOf(scripts, request).answer(request);
    this.#model = await startScriptedModel({ steps: answer });
    const { url } = this.#model;
    this.#machines = names.map((name) => new Machine(this.root, name, url));
    const origin = join(this.root, "origin.git");
    makeOrigin(this.root, origin);
    for (const machine of this.#machines) machine.clone(origin);
  }

  readonly #onEvent = ({ chat, what }: StoryEvent): void => {
    const event = { ms: Date.now() - this.#startedAt, chat, what };
    this.#events.push(event);
    this.#options.onEvent?.(event);
  };

  /** kill -9 of the client, in the middle of its task. */
  async #kill(machine: Machine): Promise<TeamRun["kill"]> {
    const { chat } = this.#options.kill;
    await this.#unlessAborted(this.#model?.held(killed) ?? fail("there is no model"));
    const session = machine.lines("started", chat)[0]?.session ?? fail(`the ${chat} chat has not started`);
    const store = new Store({ path: machine.paths.database, driver: openNodeSqlite, now: Date.now });
    const pid =
      store.read((sql) => sessions.get(sql, session)?.owner?.pid, undefined) ?? fail("its process is unknown");
    store.close();
    machine.remember();
    const ms = Date.now() - this.#startedAt;
    this.#onEvent({ chat, what: `is killed (kill -9 of process ${pid})` });
    process.kill(pid, "SIGKILL");
    return { chat, ms, session };
  }

  /** @returns the chat's last answer */
  async #finished(machine: Machine, chat: string): Promise<string> {
    await this.#until(`the ${chat} chat has finished`, () => {
      const end = machine.lines("ended", chat).at(-1);
      if (end && end.phase !== "finished" && end.phase !== "due")
        fail(`the ${chat} chat has ended: ${JSON.stringify(end)}`);
      return end?.phase === "finished" || null;
    });
    return machine.lines("output", chat).at(-1)?.text ?? "";
  }

  async #recordOf(task: number): Promise<TaskRecord> {
    const host = this.#host ?? fail("there is no host");
    const { ref, type, state, result } = await host.ask("tasks.get", { task });
    const { attempts } = await host.ask("tasks.history", { task });
    const now = Date.now() - this.#startedAt;
    const spans = attempts.map(({ chat, end, attempt, endedAgeMs, ranMs }) => {
      const endMs = now - endedAgeMs;
      return { chat, end, attempt, startMs: endMs - (ranMs ?? 0), endMs };
    });
    return { task, ref, type, state, result, spans: spans.toSorted((a, b) => a.startMs - b.startMs) };
  }

  #until<T>(what: string, find: () => T | null): Promise<T> {
    return pollUntil(what, find, { maxMs: patienceMs, everyMs: pollMs, signal: this.#options.signal });
  }

  #unlessAborted<T>(result: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(new Error("interrupted"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    return Promise.race([result, promise]).finally(() => signal.removeEventListener("abort", abort));
  }
}

/** The first message alone: titles of other chats come in answers of tools. */
function scriptOf<Script>(scripts: ReadonlyMap<string, Script>, { messages }: ModelRequest): Script {
  const first = messages.find(({ role }) => role === "user")?.text ?? "";
  const found = [...scripts].find(([prompt]) => first.includes(prompt));
  return found?.[1] ?? fail(`no chat of the story asks this: ${first.slice(0, 300)}`);
}

function makeOrigin(root: string, origin: string): void {
  const work = join(root, "first");
  for (const [name, text] of Object.entries(firstFiles)) {
    mkdirSync(dirname(join(work, name)), { recursive: true });
    writeFileSync(join(work, name), text);
  }
  const author = ["-c", "user.name=SHIM demo", "-c", "user.email=demo@localhost"];
  const git = (...args: string[]): void => void execFileSync("git", ["-C", work, ...author, ...args]);
  git("init", "--quiet", "--initial-branch=main");
  git("add", "--all");
  git("commit", "--quiet", "--message", "A shop");
  git("clone", "--quiet", "--bare", work, origin);
}

function fail(message: string): never {
  throw new Error(message);
}

import * as checkpoints from "#src/machine/sessions/checkpoints/checkpoints.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { callsOf } from "#harness/machine/host-rig.ts";
import { EventEmitter, once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { CallOperation } from "#src/machine/context/operation-context.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { StoreError } from "#src/store/store-error.ts";
import type { Program, ProgramExit } from "#src/platform/run-program.ts";
import { SupervisorDaemon, type SupervisorEnd } from "#src/runner/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "#src/runner/supervisor/supervised-program.ts";
import { SupervisorState, SupervisorSettings, isProgram } from "#src/runner/supervisor/supervisor-state.ts";
import type { ProgramState } from "#src/runner/supervisor/supervisor-state.ts";
import { launchIn } from "#harness/machine/cli-home.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";
import { init, lines } from "#harness/claude/fake-claude.ts";

interface Running {
  readonly program: Program;
  /** 128 and the number of a signal; a text: why it was not started. */
  readonly end: (how: number | string) => void;
}

export class SupervisorRig {
  readonly runtime: TempRuntime;
  readonly events: SupervisorEvent[] = [];
  readonly runs: Running[] = [];
  readonly opened: { readonly words: readonly string[]; readonly cwd: string }[] = [];
  /** Why no terminal opens; null: it does. */
  openProblem: string | null = null;
  /** When the user has pressed Enter. */
  stoppedAt: number | null = null;
  call: CallOperation;
  readonly #settings: SupervisorSettings;
  readonly #asked = new AbortController();
  /** An event was emitted, it waits, or it is over. */
  readonly #moves = new EventEmitter();
  #waiting: { readonly until: number; readonly go: () => void } | null = null;
  #over: Promise<SupervisorEnd> | null = null;
  #isOver = false;

  constructor(settings: object, options: TempRuntimeOptions = {}) {
    this.runtime = tempRuntime(options);
    this.call = callsOf(this.runtime);
    mkdirSync(this.runtime.paths.home, { recursive: true });
    this.#settings = SupervisorSettings.parse(settings);
    onTestFinished(async () => {
      this.stop();
      await this.#over;
    });
  }

  static async begun(...given: ConstructorParameters<typeof SupervisorRig>): Promise<SupervisorRig> {
    const rig = new SupervisorRig(...given);
    await rig.begin();
    return rig;
  }

  get folder(): string {
    return join(this.runtime.paths.home, "..");
  }

  get state(): SupervisorState {
    const state = SupervisorState.open(this.runtime.paths.home);
    if (!state.ok) throw new Error(state.error.message);
    return state.value;
  }

  stateOf(name: string): ProgramState {
    const target = this.#settings.watch[name];
    if (!target || !isProgram(target)) throw new Error(`${name} is no program`);
    return this.state.stateFor(name, target, this.runtime.now());
  }

  /** Begins to supervise, up to its first rest. */
  async begin(): Promise<void> {
    const { runtime } = this;
    const { processes } = runtime;
    const own = processes.facts(1) ? { boot: processes.boot(), pid: 1, start: "100" } : processes.start(1);
    const { folder, state } = this;
    const machine = { runtime, folder, state, launch: launchIn(folder), monotonic: runtime.now };
    const daemon = new SupervisorDaemon({
      ...machine,
      call: (name, input) => this.call(name, input),
      settings: this.#settings,
      versionOf: () => null,
      self: own,
      previous: null,
      run: (program) => this.#run(program),
      openTerminal: async (command, args, cwd) => {
        if (this.openProblem !== null) throw new Error(this.openProblem);
        this.opened.push({ words: [command, ...args], cwd });
      },
      emit: (event) => {
        this.events.push(event);
        this.#moves.emit("move");
      },
      wait: (ms, signal) => this.#wait(ms, signal),
      stoppedAt: () => this.stoppedAt,
    });
    runtime.store.onCommit(() => daemon.noteStored());
    this.#over = daemon.run(this.#asked.signal, new AbortController().signal);
    const over = (): void => {
      this.#isOver = true;
      this.#moves.emit("move");
    };
    void this.#over.then(over, over);
    await this.#rest();
  }

  readonly stop = (): void => this.#asked.abort();

  async over(): Promise<SupervisorEnd | undefined> {
    return this.#over ?? undefined;
  }

  /** Lets time pass, in steps that a supervisor sees. */
  async pass(ms: number): Promise<void> {
    await this.#rest();
    const end = this.runtime.now() + ms;
    while (this.runtime.now() < end) {
      const step = Math.min(end, Math.max(this.runtime.now() + 1, this.#waiting?.until ?? end));
      this.runtime.clock.now = step;
      if (this.#waiting && step >= this.#waiting.until) {
        this.#recordDeaths();
        this.#waiting.go();
        await this.#rest();
      }
    }
  }

  /** As the host does; a store that cannot be written has none. */
  #recordDeaths(): void {
    try {
      recordDeaths(this.runtime, () => true);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** The newest run ends so, and the supervisor has handled it: its program has ended, or another run began. */
  async end(how: number | string): Promise<void> {
    const [ends, runs] = [this.emitted("ended").length, this.runs.length];
    this.runs.at(-1)?.end(how);
    await this.until(() => this.emitted("ended").length > ends || this.runs.length > runs);
    await this.#rest();
  }

  async until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await once(this.#moves, "move");
  }

  emitted<Type extends SupervisorEvent["type"]>(type: Type): Extract<SupervisorEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<SupervisorEvent, { type: Type }> => event.type === type);
  }

  #run(program: Program): Promise<ProgramExit> {
    return new Promise((resolve) => {
      const end = (how: number | string): void =>
        resolve(typeof how === "number" ? { kind: "exited", code: how } : { kind: "not_started", message: how });
      const run: Running = { program, end };
      program.signal.addEventListener("abort", () => run.end(143), { once: true });
      this.runs.push(run);
      this.#moves.emit("move");
    });
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        this.#waiting = null;
        resolve();
      };
      this.#waiting = { until: this.runtime.now() + ms, go };
      this.#moves.emit("move");
      if (signal.aborted) go();
      else signal.addEventListener("abort", go, { once: true });
    });
  }

  /** Until it waits for something, or has ended. */
  async #rest(): Promise<void> {
    await this.until(() => this.#isOver || this.#waiting !== null);
  }
}

export interface LiveChat {
  readonly id: string;
  readonly pid: number;
  readonly prompt?: string;
  readonly client?: string;
  /** Null: it has none. */
  readonly transcript?: string | null;
  /** Default: a folder of its own. */
  readonly folder?: string;
}

/** A chat that works, as its hooks leave it: a prompt in the journal, no checkpoint yet. */
export function aLiveChat(runtime: TempRuntime, chat: LiveChat): void {
  const { id, pid, prompt = "make the parser accept empty input", client = "claude-code" } = chat;
  const { folder = join(runtime.paths.home, "..", `project-${id.slice(0, 8)}`) } = chat;
  const message = { role: "user", content: "make the parser accept empty input" };
  const { transcript = `${JSON.stringify({ type: "user", message, sessionId: id })}\n` } = chat;
  const transcriptPath = transcript === null ? null : join(folder, "transcript.jsonl");
  mkdirSync(folder, { recursive: true });
  if (transcriptPath !== null) writeFileSync(transcriptPath, transcript ?? "");
  const owner = runtime.processes.start(pid);
  const seen = { id, client, origin: "startup", project: folder, cwd: folder, transcriptPath };
  const at = runtime.now();
  runtime.store.write((sql) => {
    sessions.recordSighting(sql, at, { ...seen, parentId: null, owner, isAlive: true });
    journal.append(sql, id, at, "start", { kind: "start", source: "startup" });
    journal.append(sql, id, at, `prompt:${at}`, { kind: "prompt", text: prompt });
  });
}

export function checkpointsOf(runtime: TempRuntime, id: string): string[] {
  return runtime.store.read((sql) => {
    const last = checkpoints.latest(sql, id);
    return last ? [`${last.trigger}: ${last.summary}`] : [];
  }, []);
}

export const prompt = "Fix the parser.";
const fix = { kind: "claude", folder: "project", prompt, args: ["--model", "opus"] } as const;

export type Order = readonly (object | string)[] | "off" | null;

export interface RuleOptions {
  readonly rule?: object;
  readonly config?: object;
  /** A supervisor of the same machine, which died. */
  readonly after?: SupervisorRig;
}

/** @param order of the rule for usage limits; null: there is none */
export async function aRig(order: Order = null, { rule, config, after }: RuleOptions = {}): Promise<SupervisorRig> {
  const limits = order === "off" ? {} : { mostUsd: null, mostHours: 24, ...rule };
  const atLimit = order === null ? [] : [{ folder: "/", order, ...limits }];
  const env = { PATH: "/bin", SHIM_X_TOKEN: "t", OTHER: "x" };
  const beside = after ? { beside: after.runtime } : {};
  const rig = new SupervisorRig({ watch: { fix } }, { env, config: { ...config, atLimit }, ...beside });
  mkdirSync(join(rig.folder, "project"), { recursive: true });
  await rig.begin();
  if (!after) await rig.until(() => rig.runs.length > 0);
  return rig;
}

export function valueAfter(rig: SupervisorRig, option: string): string | undefined {
  const { args = [] } = rig.runs.at(-1)?.program ?? {};
  return args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
}

export function live(rig: SupervisorRig, change: Partial<LiveChat> = {}): string {
  const id = valueAfter(rig, "--session-id") ?? valueAfter(rig, "--resume") ?? "";
  const folder = join(rig.folder, "project");
  aLiveChat(rig.runtime, { id, pid: 500 + rig.runs.length, folder, ...change });
  prints(rig, init({ session_id: id }));
  return id;
}

export async function die(rig: SupervisorRig, code = 137): Promise<void> {
  rig.runtime.processes.kill(500 + rig.runs.length);
  await rig.end(code);
}

/** It crashes, and what follows at once has happened. */
export async function crash(rig: SupervisorRig, code?: number): Promise<void> {
  const { length } = rig.runs;
  await die(rig, code);
  const isDue = rig.emitted("ended").at(-1)?.phase === "due";
  await rig.pass(10_000);
  if (isDue) await rig.until(() => rig.runs.length > length || rig.emitted("ended").at(-1)?.phase !== "due");
}

export function prints(rig: SupervisorRig, ...events: object[]): void {
  for (const line of lines(...events).split("\n")) rig.runs.at(-1)?.program.onLine(line);
}

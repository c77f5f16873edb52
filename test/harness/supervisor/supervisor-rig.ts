import { callsOf } from "#harness/machine/host-client.ts";
import { EventEmitter, once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { CallOperation } from "#src/machine/operations/operation-context.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { StoreError } from "#src/store/store-error.ts";
import type { ProgramExit, Program } from "#src/platform/run-program.ts";
import { SupervisorDaemon, type SupervisorEnd } from "#src/runner/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "#src/runner/supervisor/supervised-program.ts";
import {
  SupervisorState,
  type ProgramState,
  isProgram,
  SupervisorSettings,
} from "#src/runner/supervisor/supervisor-state.ts";
import { launchIn } from "#harness/machine/cli-home.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";

/** A program that the supervisor has started: it runs until the test says how it ends. */
export interface Running {
  readonly program: Program;
  /** 128 and the number of a signal. */
  readonly end: (code: number) => void;
  readonly cannotStart: (message: string) => void;
}

/** A supervisor whose clock, timers and programs are the test's. */
export class SupervisorRig {
  readonly runtime: TempRuntime;
  readonly events: SupervisorEvent[] = [];
  readonly runs: Running[] = [];
  /** What was to open a terminal. */
  readonly opened: { readonly words: readonly string[]; readonly cwd: string }[] = [];
  /** Why no terminal opens; null: it does. */
  openProblem: string | null = null;
  /** What a program does that is asked to end. */
  atStop: (run: Running) => void = (run) => run.end(143);
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
  #noteStored = (): void => undefined;

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

  get folder(): string {
    return join(this.runtime.paths.home, "..");
  }

  get state(): SupervisorState {
    const state = SupervisorState.open(this.runtime.paths.home);
    if (!state.ok) throw new Error(state.error.message);
    return state.value;
  }

  /** What is stored of a program. */
  stateOf(name: string): ProgramState {
    const target = this.#settings.watch[name];
    if (!target || !isProgram(target)) throw new Error(`${name} is no program`);
    return this.state.stateFor(name, target, this.runtime.now());
  }

  /** Begins to supervise, up to its first rest. */
  async begin(): Promise<void> {
    const { runtime } = this;
    const own = runtime.processes.facts(1)
      ? { boot: runtime.processes.boot(), pid: 1, start: "100" }
      : runtime.processes.start(1);
    const daemon = new SupervisorDaemon({
      runtime,
      call: (name, input) => this.call(name, input),
      settings: this.#settings,
      folder: this.folder,
      state: this.state,
      launch: launchIn(this.folder),
      versionOf: () => null,
      self: own,
      previous: null,
      run: (program) => this.#run(program),
      monotonic: this.runtime.now,
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
    this.#noteStored = () => daemon.noteStored();
    this.runtime.store.onCommit(this.#noteStored);
    this.#over = daemon.run(this.#asked.signal, new AbortController().signal);
    const over = (): void => {
      this.#isOver = true;
      this.#moves.emit("move");
    };
    void this.#over.then(over, over);
    await this.#rest();
  }

  /** Asks it to end. */
  stop(): void {
    this.#asked.abort();
  }

  /** How it has ended. */
  async over(): Promise<SupervisorEnd | undefined> {
    return this.#over ?? undefined;
  }

  /** Another process has stored something, and the host reports it. */
  stored(): void {
    this.#noteStored();
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
  async end(code: number): Promise<void> {
    const [ends, runs] = [this.emitted("ended").length, this.runs.length];
    this.runs.at(-1)?.end(code);
    await this.until(() => this.emitted("ended").length > ends || this.runs.length > runs);
    await this.#rest();
  }

  /** Checks at each event. */
  async until(isReached: () => boolean): Promise<void> {
    while (!isReached()) await once(this.#moves, "move");
  }

  emitted<Type extends SupervisorEvent["type"]>(type: Type): Extract<SupervisorEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<SupervisorEvent, { type: Type }> => event.type === type);
  }

  #run(program: Program): Promise<ProgramExit> {
    return new Promise((resolve) => {
      const run: Running = {
        program,
        end: (code) => resolve({ kind: "exited", code }),
        cannotStart: (message) => resolve({ kind: "not_started", message }),
      };
      program.signal.addEventListener("abort", () => this.atStop(run), { once: true });
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

import { resolve } from "node:path";
import { untilAborted } from "../coordinator-client/edge/platform.ts";
import { messageOf } from "../shared/error.ts";
import { endMarked, hasMarks, toMark, type runProgram } from "../worker-runner/run-program.ts";
import type { Launch } from "../platform/launch.ts";
import { withoutSecrets } from "../platform/secret-env.ts";
import type { ProcessIdentity } from "../platform/processes.ts";
import type { DeathDeps } from "./record-death.ts";
import { isProgram, type SupervisorSettings, type WatchedProgram } from "./supervisor-settings.ts";
import { supervisedCommand, type Supervised } from "./program-run.ts";
import { SupervisedClaude } from "./supervised-claude.ts";
import { SupervisedProgram } from "./supervised-program.ts";
import type { StopTimeouts } from "../worker-runner/client/stop-timeouts.ts";
import { countRestart } from "./supervisor-metrics.ts";
import type { SupervisorState } from "./supervisor-state.ts";
import { ChatWatch, type OpenTerminal } from "./chat-watch.ts";

export interface SupervisorOptions extends DeathDeps {
  readonly settings: SupervisorSettings;
  /** Folder of the settings; their paths are relative to it. */
  readonly folder: string;
  readonly state: SupervisorState;
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  readonly self: ProcessIdentity;
  readonly previous: ProcessIdentity | null;
  readonly run: typeof runProgram;
  readonly openTerminal: OpenTerminal;
  /** [SU30] No more output is read until it resolves. Absent: all is read at once. */
  readonly pace?: () => Promise<unknown> | null;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** asked: by a signal; memory: over its memory limit. */
export type SupervisorEnd = "asked" | "memory";

/** Time between two checks of what no one reports: its memory, and what the user asks for. */
const checkEveryMs = 2_000;
const leftoverMs = 3_000;
const bytesPerMb = 1_048_576;

/** [SU51] Checks what is due until it is asked to end; then ends all its programs. */
export class SupervisorDaemon {
  readonly #options: SupervisorOptions;
  readonly #programs: readonly SupervisedProgram[];
  readonly #chats: readonly ChatWatch[];
  readonly #endController = new AbortController();
  #wakeController = new AbortController();
  #hasNews = true;
  #problem: string | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { watch } = options.settings;
    this.#programs = Object.entries(watch).flatMap(([name, target]) =>
      isProgram(target) ? [this.#program(name, target)] : [],
    );
    const isSupervised = (session: string): boolean => this.#programs.some((program) => program.session === session);
    const { runtime, call, emit, openTerminal } = options;
    const rules = options.settings.restarts;
    const endSignal = this.#endController.signal;
    const shared = { runtime, call, emit, openTerminal, rules, isSupervised, endSignal };
    this.#chats = Object.entries(watch).flatMap(([name, watched]) =>
      isProgram(watched) ? [] : [new ChatWatch({ ...shared, name, watched })],
    );
  }

  /** [PR36] Deaths and ends of chats may be among what was stored. */
  noteStored(): void {
    this.#hasNews = true;
  }

  /** @param hurrySignal aborted: programs that still run get TERM at once */
  async run(endSignal: AbortSignal, hurrySignal: AbortSignal): Promise<SupervisorEnd> {
    const { self, previous, settings, emit } = this.#options;
    endSignal.addEventListener("abort", () => this.#end(), { once: true });
    if (previous?.boot === self.boot) await this.#waitForLeftovers(previous, endSignal);
    emit({ type: "supervising", pid: self.pid, watched: Object.keys(settings.watch) });
    while (!endSignal.aborted && !this.#isTooLarge()) {
      this.#wakeController = new AbortController();
      await untilAborted(this.#check(), endSignal);
      if (!endSignal.aborted) await this.#options.wait(this.#pauseMs(), this.#wakeController.signal);
    }
    const end = endSignal.aborted ? "asked" : "memory";
    emit({
      type: "ending",
      reason: end === "asked" ? "asked to end" : `it uses more than ${settings.memoryLimitMb} MB`,
    });
    hurrySignal.addEventListener("abort", () => void endMarked(toMark(self)), { once: true });
    await Promise.all(this.#programs.map((program) => program.leave()));
    return end;
  }

  #end(): void {
    this.#endController.abort();
    this.#wakeController.abort();
  }

  /** [SU48] Leftovers of an earlier supervisor end before any start: never two of one program. */
  async #waitForLeftovers(previous: ProcessIdentity, endSignal: AbortSignal): Promise<void> {
    if (hasMarks) return endMarked(toMark(previous));
    // Watchdogs of the earlier supervisor end them within this time.
    await this.#options.wait(leftoverMs, endSignal);
  }

  async #check(): Promise<void> {
    for (const program of this.#programs) program.check();
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    for (const chats of this.#chats) {
      try {
        await chats.check(hasNews);
        this.#problem = null;
      } catch (error) {
        // The store is checked again a moment later; one report is enough.
        this.#hasNews = true;
        const message = messageOf(error);
        if (message !== this.#problem) this.#options.emit({ type: "problem", name: null, message });
        this.#problem = message;
      }
    }
  }

  #pauseMs(): number {
    const dueTimes = this.#programs.flatMap((program) => program.dueInMs() ?? []);
    return Math.min(checkEveryMs, ...dueTimes);
  }

  #isTooLarge(): boolean {
    const { runtime, self, settings } = this.#options;
    const usedBytes = runtime.processes.facts(self.pid)?.residentBytes ?? 0;
    return usedBytes > settings.memoryLimitMb * bytesPerMb;
  }

  #program(name: string, watched: WatchedProgram): SupervisedProgram {
    const { runtime, settings, state, run, emit } = this.#options;
    return new SupervisedProgram({
      name,
      supervised: this.#supervised(watched),
      initialState: state.stateFor(name, watched, runtime.now()),
      state,
      policy: { when: watched.restart, rules: settings.restarts },
      stopTimeouts: stopTimeoutsOf(watched),
      now: runtime.now,
      run,
      emit,
      pace: this.#options.pace,
      wake: () => this.#wakeController.abort(),
      onStart: (planned) => countRestart(this.#options, planned),
    });
  }

  #supervised(watched: WatchedProgram): Supervised {
    const { runtime, launch } = this.#options;
    const { env } = runtime;
    const folder = resolve(this.#options.folder, watched.folder ?? ".");
    switch (watched.kind) {
      case "command": {
        const [command, ...args] = watched.command;
        return supervisedCommand({ command, args, cwd: folder, env: withoutSecrets(env) });
      }
      case "worker":
        return supervisedCommand({
          command: launch.node,
          args: [launch.script, "worker", ...watched.args],
          cwd: folder,
          env: { ...env, SHIM_HOME: runtime.paths.home },
        });
      case "claude":
        return new SupervisedClaude({ ...this.#options, watched, folder });
    }
  }
}

/** SHIM's own server, started by Claude Code, saves files after TERM. */
const graceMs = 6_000;

/** INT makes Claude Code report its progress, and lets a worker finish its tasks. */
function stopTimeoutsOf({ kind, stopMs }: WatchedProgram): StopTimeouts {
  return kind === "command" ? { interruptMs: 0, graceMs: stopMs } : { interruptMs: stopMs, graceMs };
}

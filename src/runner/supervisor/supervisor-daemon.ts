import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { untilAborted } from "../../coordinator-client/edge/platform.ts";
import type { OperationContext } from "../../machine/operations/operation-context.ts";
import { stoppedText } from "../../machine/usage/at-limit.ts";
import { type ProcessIdentity } from "../../platform/processes.ts";
import { programPath } from "../../platform/program-path.ts";
import {
  findLastSupervisor,
  markSupervisor,
  supervisorFolder,
  unmarkSupervisor,
} from "../../platform/supervisor-mark.ts";
import { messageOf } from "../../shared/error.ts";
import { fail, type Failure, err, ok, type Result } from "../../shared/result.ts";
import { lockFile } from "../../store/file-lock.ts";
import { loadDriver } from "../../store/open-driver.ts";
import type { RunDeps } from "../worker/client/client-run.ts";
import { logFailure } from "../worker/client/continuation.ts";
import { endMarked, hasMarks, runProgram, toMark } from "../../platform/run-program.ts";
import { clientDeps, ownIdentity } from "../worker/machine-deps.ts";
import { ChatWatch, type OpenTerminal } from "./chat-watch.ts";
import { alreadyRunning, SupervisorState } from "./supervisor-state.ts";
import {
  claudeProgram,
  type Program,
  type ProgramDeps,
  SupervisedProgram,
  workerProgram,
} from "./supervised-program.ts";
import { isProgram, type SupervisorSettings, type WatchedProgram } from "./supervisor-settings.ts";

interface Supervision extends Pick<SupervisorOptions, "emit" | "wait" | "stoppedAt"> {
  readonly endSignal: AbortSignal;
  /** Aborted: what still runs is ended at once. */
  readonly hurrySignal: AbortSignal;
}

/** Supervises as the home's only supervisor, until it is asked to end. */
export async function supervise(
  context: OperationContext,
  settings: SupervisorSettings,
  { endSignal, hurrySignal, ...more }: Supervision,
): Promise<Result<void, Failure>> {
  const { paths, hostClient } = context;
  const { home: folder } = paths;
  const deps = await clientDeps(context);
  const { runtime, call } = deps;
  const identified = ownIdentity(runtime.processes);
  if (!identified.ok) return identified;
  const self = identified.value;
  const lock = lockFile(join(supervisorFolder(folder), "lock"), (await loadDriver()).open);
  const previous = findLastSupervisor(folder);
  if (!lock) return err(alreadyRunning(previous));
  const over = new AbortController();
  try {
    const state = SupervisorState.open(folder);
    if (!state.ok) return state;
    markSupervisor(folder, self);
    await logFailure(runtime, "what hooks have left was not stored", call("recovery.catch-up", {}));
    const own = { ...deps, settings, folder, state: state.value, self, previous };
    const daemon = new SupervisorDaemon({ ...own, ...more, run: runProgram, openTerminal });
    void hostClient?.stayConnected({
      onStored: () => daemon.noteStored(),
      onProblem: (message) => runtime.log("warn", message),
      until: over.signal,
    });
    const end = await daemon.run(endSignal, hurrySignal);
    unmarkSupervisor(folder);
    if (end === "asked") return ok(undefined);
    // A service restarts it after this failure.
    return fail(
      "memory_limit",
      `the supervisor used more than ${maxMegabytes} MB and has ended, with all that it ran. \`shim worker supervise\` continues where it stopped.`,
    );
  } finally {
    over.abort();
    lock.close();
  }
}

/** The opener may live as long as its terminal, and outlives the supervisor. */
export const openTerminal: OpenTerminal = (command, args, cwd) =>
  new Promise((resolve, reject) => {
    const child = spawn(programPath(command, process.env), args, { cwd, detached: true, stdio: "ignore" });
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });

export interface SupervisorOptions extends ProgramDeps, Pick<RunDeps, "monotonic" | "stopTimeouts"> {
  readonly settings: SupervisorSettings;
  /** Folder of the settings; their paths are relative to it. */
  readonly folder: string;
  readonly self: ProcessIdentity;
  readonly previous: ProcessIdentity | null;
  readonly openTerminal: OpenTerminal;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** When the user last stopped the rules for usage limits, epoch ms; absent: never. */
  readonly stoppedAt?: () => number | null;
}

/** asked: by a signal; memory: over its memory limit. */
export type SupervisorEnd = "asked" | "memory";

/** Time between two checks of what no one reports: its memory, and what the user asks for. */
const checkEveryMs = 2_000;
const leftoverMs = 3_000;
const maxMegabytes = 256;
const bytesPerMb = 1_048_576;

/** Checks what is due until it is asked to end; then ends all its programs. */
export class SupervisorDaemon {
  readonly #options: SupervisorOptions;
  readonly #programs: readonly SupervisedProgram[];
  readonly #chats: readonly ChatWatch[];
  readonly #endController = new AbortController();
  #wakeController = new AbortController();
  #hasNews = true;
  #problem: string | null = null;
  #stoppedAt: number | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const watch = Object.entries(options.settings.watch);
    const wake = (): void => this.#wakeController.abort();
    this.#programs = watch.flatMap(([name, target]) =>
      isProgram(target) ? [new SupervisedProgram(options, name, target, this.#programOf(target), wake)] : [],
    );
    const shared = {
      ...options,
      rules: options.settings.restarts,
      isSupervised: (session: string) => this.#programs.some((program) => program.isSessionOf(session)),
      endSignal: this.#endController.signal,
    };
    this.#chats = watch.flatMap(([name, watched]) =>
      isProgram(watched) ? [] : [new ChatWatch({ ...shared, name, watched })],
    );
  }

  /** Deaths and ends of chats may be among what was stored. */
  noteStored(): void {
    this.#hasNews = true;
  }

  /** @param hurrySignal aborted: programs that still run get TERM at once */
  async run(endSignal: AbortSignal, hurrySignal: AbortSignal): Promise<SupervisorEnd> {
    const { self, previous, settings, emit, wait, runtime } = this.#options;
    const isTooLarge = (): boolean =>
      (runtime.processes.facts(self.pid)?.residentBytes ?? 0) > maxMegabytes * bytesPerMb;
    const onEnd = (): void => {
      this.#endController.abort();
      this.#wakeController.abort();
    };
    endSignal.addEventListener("abort", onEnd, { once: true });
    // Leftovers of an earlier supervisor end before any start: never two of one program.
    if (previous?.boot === self.boot) {
      if (hasMarks) await endMarked(toMark(previous));
      // Watchdogs of the earlier supervisor end them within this time.
      else await wait(leftoverMs, endSignal);
    }
    emit({ type: "supervising", pid: self.pid, watched: Object.keys(settings.watch) });
    while (!endSignal.aborted && !isTooLarge()) {
      this.#wakeController = new AbortController();
      await untilAborted(this.#check(), endSignal);
      const dueTimes = this.#programs.flatMap((program) => program.dueInMs() ?? []);
      if (!endSignal.aborted) await wait(Math.min(checkEveryMs, ...dueTimes), this.#wakeController.signal);
    }
    const end = endSignal.aborted ? "asked" : "memory";
    emit({ type: "ending", reason: end === "asked" ? "asked to end" : `it uses more than ${maxMegabytes} MB` });
    hurrySignal.addEventListener("abort", () => void endMarked(toMark(self)), { once: true });
    await Promise.all(this.#programs.map((program) => program.leave()));
    return end;
  }

  async #check(): Promise<void> {
    const stoppedAt = this.#options.stoppedAt?.() ?? null;
    if (stoppedAt !== this.#stoppedAt) for (const program of this.#programs) program.stopRule(stoppedText);
    this.#stoppedAt = stoppedAt;
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

  #programOf(watched: WatchedProgram): Program {
    const { runtime, launch } = this.#options;
    const folder = resolve(this.#options.folder, watched.folder ?? ".");
    if (watched.kind === "claude") return claudeProgram({ ...this.#options, watched, folder });
    const args = [launch.script, "worker", ...watched.args];
    const env = { ...runtime.env, SHIM_HOME: runtime.paths.home };
    return workerProgram(this.#options, { command: launch.node, args, cwd: folder, env });
  }
}

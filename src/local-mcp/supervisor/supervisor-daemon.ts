import { resolve } from "node:path";
import { messageOf } from "../../shared/error.ts";
import { endMarked, hasMarks, markOf } from "../automation/marked-processes.ts";
import type { runProgram } from "../automation/run-program.ts";
import type { Launch } from "../launch.ts";
import { withoutSecrets } from "../own-secrets.ts";
import type { ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import type { OpenTerminal } from "./chat-death.ts";
import { attestDeath, type AttestDeath } from "./death-attestation.ts";
import { lastCheckpoint } from "./last-checkpoint.ts";
import { isProgram, type SupervisorSettings, type WatchedProgram } from "./settings.ts";
import type { Supervised } from "./supervised.ts";
import { SupervisedClaude } from "./supervised-claude.ts";
import { supervisedCommand } from "./supervised-command.ts";
import { SupervisedProgram, type Patience } from "./supervised-program.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";
import type { SupervisorState } from "./supervisor-state.ts";
import { AppWatch } from "./watched-app.ts";
import { ChatWatch } from "./watched-chats.ts";

export interface SupervisorOptions {
  readonly runtime: Runtime;
  readonly settings: SupervisorSettings;
  /** Where the settings stand: their paths begin there. */
  readonly folder: string;
  readonly state: SupervisorState;
  /** This copy of SHIM. */
  readonly launch: Launch;
  readonly own: ProcessIdentity;
  /** Who supervised before and did not end in good order. */
  readonly before: ProcessIdentity | null;
  readonly run: typeof runProgram;
  readonly open: OpenTerminal;
  readonly attest: AttestDeath;
  readonly tell: (event: SupervisorEvent) => void;
  /** [SU30] Asked after each part of a program's output: no more is read until it resolves. Absent: all is read at once. */
  readonly pace?: () => Promise<unknown> | null;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** asked: somebody wants it to end; memory: it has used more than it may. */
export type SupervisorEnd = "asked" | "memory";

/** How often chats, requests and the own memory are looked at. */
const pollEveryMs = 2_000;
const leftMs = 3_000;
const bytesOfMb = 1_048_576;

/** [SU12] Holds the parts together: looks at what is due, until it is to end; then everything that it runs ends with it. */
export class SupervisorDaemon {
  readonly #options: SupervisorOptions;
  readonly #programs: readonly SupervisedProgram[];
  readonly #chats: readonly (ChatWatch | AppWatch)[];
  /** Asked to end: what may be left out is. */
  readonly #ending = new AbortController();
  #wake = new AbortController();
  /** What kept it from looking at the chats last. */
  #problem: string | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { watch } = options.settings;
    this.#programs = Object.entries(watch).flatMap(([name, one]) => (isProgram(one) ? [this.#program(name, one)] : []));
    this.#chats = Object.entries(watch).flatMap(([name, watched]) => {
      if (isProgram(watched)) return [];
      const { runtime, settings, open, tell } = options;
      const bury = (session: string): Promise<string | null> => this.#bury(session, this.#ending.signal);
      const isOwn = (session: string): boolean => this.#programs.some((program) => program.session === session);
      const shared = { name, runtime, rules: settings.restarts, isOwn, bury, open, tell };
      return [
        watched.kind === "sessions" ? new ChatWatch({ ...shared, watched }) : new AppWatch({ ...shared, watched }),
      ];
    });
  }

  /**
   * @param asked aborted: everything ends, in good order
   * @param hurried aborted: what has not ended yet is told TERM at once
   */
  async run(asked: AbortSignal, hurried: AbortSignal): Promise<SupervisorEnd> {
    const { own, before, settings, tell } = this.#options;
    asked.addEventListener("abort", () => this.#end(), { once: true });
    if (before?.boot === own.boot) await this.#outlast(before, asked);
    tell({ type: "supervising", pid: own.pid, watched: Object.keys(settings.watch) });
    while (!asked.aborted && !this.#isTooLarge()) {
      this.#wake = new AbortController();
      await this.#check();
      if (!asked.aborted) await this.#options.wait(this.#pauseMs(), this.#wake.signal);
    }
    const end = asked.aborted ? "asked" : "memory";
    tell({
      type: "ending",
      reason: end === "asked" ? "asked to end" : `it uses more than ${settings.memoryLimitMb} MB`,
    });
    hurried.addEventListener("abort", () => void endMarked(markOf(own)), { once: true });
    await Promise.all(this.#programs.map((program) => program.leave()));
    return end;
  }

  #end(): void {
    this.#ending.abort();
    this.#wake.abort();
  }

  /** [SU9] What the one before has left has ended before anything is started: never two of one program. */
  async #outlast(before: ProcessIdentity, asked: AbortSignal): Promise<void> {
    if (hasMarks) return endMarked(markOf(before));
    // Its keepers end it within this time.
    await this.#options.wait(leftMs, asked);
  }

  async #check(): Promise<void> {
    for (const program of this.#programs) program.check();
    for (const chats of this.#chats) {
      try {
        await chats.check();
        this.#problem = null;
      } catch (error) {
        // The store is looked at again a moment later; one word is enough.
        const message = messageOf(error);
        if (message !== this.#problem) this.#options.tell({ type: "problem", name: null, message });
        this.#problem = message;
      }
    }
  }

  #pauseMs(): number {
    const due = this.#programs.flatMap((program) => program.dueIn() ?? []);
    return Math.min(pollEveryMs, ...due);
  }

  /** [SU13] */
  #isTooLarge(): boolean {
    const { runtime, own, settings } = this.#options;
    const used = runtime.processes.facts(own.pid)?.residentBytes ?? 0;
    return used > settings.memoryLimitMb * bytesOfMb;
  }

  #program(name: string, watched: WatchedProgram): SupervisedProgram {
    const { runtime, settings, state, run, tell } = this.#options;
    return new SupervisedProgram({
      name,
      supervised: this.#supervised(watched),
      kept: state.of(name, watched, runtime.now()),
      state,
      policy: { when: watched.restart, rules: settings.restarts },
      patience: patienceOf(watched),
      now: runtime.now,
      run,
      tell,
      pace: this.#options.pace,
      wake: () => this.#wake.abort(),
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
        // It is SHIM itself.
        return supervisedCommand({
          command: launch.node,
          args: [launch.script, "worker", ...watched.args],
          cwd: folder,
          env: { ...env, SHIM_HOME: runtime.paths.home },
        });
      case "claude": {
        const bury = async (session: string): Promise<void> => void (await this.#bury(session, never));
        return new SupervisedClaude({ runtime, launch, watched, folder, bury });
      }
    }
  }

  /** The last checkpoint, and the news of its death; neither keeps the other back. */
  async #bury(session: string, hurry: AbortSignal): Promise<string | null> {
    const { runtime, attest } = this.#options;
    const checkpoint = await this.#tried(`the last checkpoint of ${session}`, () =>
      lastCheckpoint(runtime, session, hurry),
    );
    const problem = await this.#tried(`the death of ${session}`, () => attestDeath(runtime, attest, session));
    if (problem !== null) this.#options.tell({ type: "problem", name: null, message: problem });
    return checkpoint;
  }

  async #tried(what: string, work: () => Promise<string | null>): Promise<string | null> {
    try {
      return await work();
    } catch (error) {
      this.#options.tell({ type: "problem", name: null, message: `${what}: ${messageOf(error)}` });
      return null;
    }
  }
}

const never = new AbortController().signal;

/** SHIM's own server, which Claude Code has started, saves files after TERM. */
const graceMs = 6_000;

/** INT makes Claude Code tell how far it came, and a worker lets its tasks end; other programs are used to TERM. */
function patienceOf({ kind, stopMs }: WatchedProgram): Patience {
  return kind === "command" ? { interruptMs: 0, graceMs: stopMs } : { interruptMs: stopMs, graceMs };
}

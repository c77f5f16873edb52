import * as servers from "../local-mcp/sessions/servers.ts";
import * as restarter from "./auto-restarter.ts";
import { messageOf } from "../shared/error.ts";
import { isAlive } from "../platform/processes.ts";
import type { Session } from "../local-mcp/sessions/sessions.ts";
import { reportDeath, type WatchOptions, ProcessMonitor } from "./chat-death.ts";
import type { WatchedDesktop } from "./supervisor-settings.ts";

export interface AppWatchOptions extends WatchOptions {
  readonly watched: WatchedDesktop;
}

/** [SU16] Restarts an app without hooks only where configured, after an apparent crash. */
export class AppWatch {
  readonly #options: AppWatchOptions;
  readonly #monitor: ProcessMonitor;
  #restarts: restarter.Restarts | null = null;

  constructor(options: AppWatchOptions) {
    this.#options = options;
    const { runtime, isSupervised } = options;
    this.#monitor = new ProcessMonitor(runtime, ({ id, origin }) => origin === "handle" && !isSupervised(id));
  }

  async check(): Promise<void> {
    const dead = this.#monitor.check();
    for (const { id } of dead) await reportDeath(this.#options, id);
    if (this.#options.watched.restartWith && dead.some((session) => this.#isCrash(session))) this.#planRestart();
    const now = this.#options.runtime.now();
    if (this.#restarts && restarter.dueInMs(this.#restarts, now) === 0) await this.#restart(this.#restarts);
  }

  #isCrash({ owner, detachedAt, detachReason }: Session): boolean {
    if (detachedAt !== null) return detachReason === "client_gone";
    const { store, processes } = this.#options.runtime;
    const client = owner && store.read((sql) => servers.clientOf(sql, owner), null);
    return client !== null && !isAlive(processes, client);
  }

  #planRestart(): void {
    const { name, runtime, rules, emit } = this.#options;
    const now = runtime.now();
    const previous = this.#restarts ?? restarter.initial(now);
    const crash = { kind: "crashed", reason: "the app went away without closing its connections" } as const;
    this.#restarts = restarter.afterEnd(previous, crash, now, { when: "on-crash", rules });
    const { phase, reason } = this.#restarts;
    const againInMs = restarter.dueInMs(this.#restarts, now);
    emit({ type: "ended", name, phase, reason, againInMs, ranMs: now - previous.since, isProgram: false });
  }

  async #restart(restarts: restarter.Restarts): Promise<void> {
    const { name, runtime, watched, openTerminal, emit } = this.#options;
    this.#restarts = restarter.afterStart(restarts, runtime.now());
    if (this.#monitor.hasLiving()) return;
    const [command = "", ...args] = watched.restartWith ?? [];
    try {
      await openTerminal(command, args, runtime.paths.home);
      emit({ type: "restarting", name, session: null, how: [command, ...args].join(" ") });
    } catch (error) {
      emit({ type: "problem", name, message: `${command} cannot be started: ${messageOf(error)}` });
    }
  }
}

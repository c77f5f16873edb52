import * as servers from "../local-mcp/sessions/servers.ts";
import type { Session } from "../local-mcp/sessions/sessions.ts";
import { isAlive } from "../platform/processes.ts";
import * as restarter from "./auto-restarter.ts";
import { openReported, planRestart, reportDeath, type WatchOptions, ProcessMonitor } from "./chat-death.ts";
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
    const { watched, name, runtime } = this.#options;
    if (watched.restartWith && dead.some((session) => this.#isCrash(session))) {
      const crash = { kind: "crashed", reason: "the app went away without closing its connections" } as const;
      this.#restarts = planRestart(this.#options, name, this.#restarts ?? undefined, crash);
    }
    const now = runtime.now();
    if (this.#restarts && restarter.dueInMs(this.#restarts, now) === 0) await this.#restart(this.#restarts);
  }

  #isCrash({ owner, detachedAt, detachReason }: Session): boolean {
    if (detachedAt !== null) return detachReason === "client_gone";
    const { store, processes } = this.#options.runtime;
    const client = owner && store.read((sql) => servers.clientOf(sql, owner), null);
    return client !== null && !isAlive(processes, client);
  }

  async #restart(restarts: restarter.Restarts): Promise<void> {
    const { runtime, watched } = this.#options;
    this.#restarts = restarter.afterStart(restarts, runtime.now());
    if (this.#monitor.hasLiving()) return;
    const commandLine = watched.restartWith ?? [];
    await openReported(this.#options, commandLine, runtime.paths.home, { session: null, how: commandLine.join(" ") });
  }
}

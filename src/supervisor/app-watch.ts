import { isAlive } from "../platform/processes.ts";
import * as servers from "../local-mcp/sessions/servers.ts";
import type { Session } from "../local-mcp/sessions/sessions.ts";
import * as restarter from "./auto-restarter.ts";
import { planRestart, reportDeath, startInTerminal, type WatchOptions } from "./chat-death.ts";
import { RecordedDeaths } from "./recorded-deaths.ts";
import type { WatchedDesktop } from "./supervisor-settings.ts";

export interface AppWatchOptions extends WatchOptions {
  readonly watched: WatchedDesktop;
}

/** [SU44] Restarts an app without hooks only where configured, after an apparent crash. */
export class AppWatch {
  readonly #options: AppWatchOptions;
  readonly #deaths: RecordedDeaths;
  #restarts: restarter.Restarts | null = null;

  constructor(options: AppWatchOptions) {
    this.#options = options;
    const { runtime, isSupervised } = options;
    this.#deaths = new RecordedDeaths(runtime, ({ id, origin }) => origin === "handle" && !isSupervised(id));
  }

  async check(hasNews: boolean): Promise<void> {
    const dead = hasNews ? this.#deaths.take() : [];
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
    const crash = { kind: "crashed", reason: "the app went away without closing its connections" } as const;
    this.#restarts = planRestart(this.#options, this.#options.name, this.#restarts, crash);
  }

  async #restart(restarts: restarter.Restarts): Promise<void> {
    const { runtime, watched } = this.#options;
    this.#restarts = restarter.afterStart(restarts, runtime.now());
    if (this.#deaths.hasLiving()) return;
    const command = watched.restartWith ?? [];
    await startInTerminal(this.#options, restarts, command, runtime.paths.home, {
      session: null,
      how: command.join(" "),
    });
  }
}

import { mayBeJoined } from "../../coordinator-client/edge-config.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** Loads the sync only on a machine in a workspace: most machines never join one. */
export class LateSync {
  readonly #runtime: Runtime;
  readonly #server: ProcessIdentity;
  #stop: Promise<() => Promise<void>> | null = null;

  constructor(runtime: Runtime, server: ProcessIdentity) {
    this.#runtime = runtime;
    this.#server = server;
  }

  startIfJoined(): void {
    if (this.#stop || !mayBeJoined(this.#runtime.paths.home, this.#runtime.env)) return;
    const load = Promise.all([import("../sync/start-sync.ts"), import("../recovery/takeover-notices.ts")]);
    this.#stop = load.then(([{ startSync }, { recordTakeovers }]) =>
      startSync(this.#runtime, this.#server, recordTakeovers),
    );
  }

  async stop(): Promise<void> {
    if (this.#stop) await (await this.#stop)();
  }
}

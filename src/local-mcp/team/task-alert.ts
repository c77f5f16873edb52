import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as news from "../sessions/news.ts";
import { findClaimable } from "./waiting-tasks.ts";

export interface TaskAlertDeps {
  readonly runtime: Pick<Runtime, "store" | "now">;
  readonly link: CoordinatorClient;
  readonly sessionId: string;
  readonly workspace: string;
}

const searchEveryMs = 2_000;

/** [TE40] Alerts once. Kept in memory: a later process of the chat must ask again. */
export class TaskAlert {
  readonly #deps: TaskAlertDeps;
  #request: { readonly types: readonly string[]; readonly at: number } | null = null;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #isChecking = false;

  constructor(deps: TaskAlertDeps) {
    this.#deps = deps;
  }

  watchFor(types: readonly string[]): void {
    this.#request = { types, at: this.#deps.runtime.now() };
  }

  cancel(): void {
    this.#request = null;
  }

  async check(capabilities: readonly string[]): Promise<void> {
    const now = this.#deps.runtime.now();
    if (this.#request === null || this.#isChecking || Math.abs(now - this.#checkedAt) < searchEveryMs) return;
    this.#isChecking = true;
    this.#checkedAt = now;
    try {
      await this.#search(this.#request, capabilities);
    } finally {
      this.#isChecking = false;
    }
  }

  async #search(
    request: { readonly types: readonly string[]; readonly at: number },
    capabilities: readonly string[],
  ): Promise<void> {
    const { runtime, link, sessionId, workspace } = this.#deps;
    const claimable = await findClaimable(link, request.types, capabilities);
    const firstTask = claimable.ok ? claimable.value[0] : undefined;
    if (!firstTask || this.#request !== request) return;
    const { task, type: title } = firstTask;
    const key = `available:${workspace}:${task}:${request.at}`;
    runtime.store.write((sql) => {
      news.add(sql, runtime.now(), sessionId, key, { kind: "task_available", task, title });
    });
    this.cancel();
  }
}

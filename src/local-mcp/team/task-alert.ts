import type { ChatLink } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import * as news from "./news.ts";
import { takable } from "./waited-tasks.ts";

export interface AlertSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
}

/** Interval of the search, in ms, however often something changes. */
const everyMs = 2_000;

/** [TE40] Tells a chat that asked for tasks and got none, once, when it could take one. Kept in memory: a later process of the chat is to ask again. */
export class TaskAlert {
  readonly #around: AlertSurroundings;
  #wanted: { readonly types: readonly string[]; readonly at: number } | null = null;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #isChecking = false;

  constructor(around: AlertSurroundings) {
    this.#around = around;
  }

  /** @param types empty: all */
  want(types: readonly string[]): void {
    this.#wanted = { types, at: this.#around.runtime.now() };
  }

  forget(): void {
    this.#wanted = null;
  }

  /** @param able the capabilities of the chat */
  async check(able: readonly string[]): Promise<void> {
    const now = this.#around.runtime.now();
    if (this.#wanted === null || this.#isChecking || Math.abs(now - this.#checkedAt) < everyMs) return;
    this.#isChecking = true;
    this.#checkedAt = now;
    try {
      await this.#search(this.#wanted, able);
    } finally {
      this.#isChecking = false;
    }
  }

  async #search(
    wanted: { readonly types: readonly string[]; readonly at: number },
    able: readonly string[],
  ): Promise<void> {
    const { runtime, link, sessionId, workspace } = this.#around;
    const found = await takable(link, wanted.types, able);
    const first = found.ok ? found.value[0] : undefined;
    // It may have asked again, or taken one, meanwhile.
    if (!first || this.#wanted !== wanted) return;
    const { task, type: title } = first;
    const key = `available:${workspace}:${task}:${wanted.at}`;
    runtime.store.write((sql) => {
      news.add(sql, runtime.now(), sessionId, key, { kind: "task_available", task, title });
    });
    this.forget();
  }
}

import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { Change } from "../../contract/state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as news from "../sessions/news.ts";

export interface LeaderWatchDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: CoordinatorClient;
  readonly sessionId: string;
  readonly workspace: string;
}

const prefix = "$leader/";

/** [TE9] Skips the leader at the time of joining. */
export class LeaderWatch {
  readonly #deps: LeaderWatchDeps;
  #pendingChanges: Change[] = [];
  #stop: () => void = () => undefined;

  constructor(deps: LeaderWatchDeps) {
    this.#deps = deps;
  }

  follow(): void {
    this.#stop();
    this.#stop = this.#deps.link.onChanges(prefix, (changes) => {
      this.#pendingChanges.push(...(changes ?? []));
      this.check();
    });
  }

  close(): void {
    this.#stop();
  }

  check(): void {
    if (this.#pendingChanges.length === 0) return;
    try {
      this.#addNews(this.#pendingChanges);
      this.#pendingChanges = [];
    } catch (error) {
      this.#deps.runtime.log("error", "a change of a leader is not written down yet", { error: String(error) });
    }
  }

  #addNews(changes: readonly Change[]): void {
    const { runtime, link, sessionId, workspace } = this.#deps;
    runtime.store.write((sql) => {
      for (const { key, value, revision } of changes) {
        const leader = parseLeader(value);
        const isSelf = leader !== null && leader === link.self?.chat;
        const newLeader = { kind: "leader_changed", name: key.slice(prefix.length), leader, isSelf } as const;
        news.add(sql, runtime.now(), sessionId, `leader:${workspace}:${revision}`, newLeader);
      }
    });
  }
}

function parseLeader(value: Change["value"]): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return typeof value["leader"] === "string" ? value["leader"] : null;
}

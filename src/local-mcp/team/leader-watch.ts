import type { Change } from "../../contract/state.ts";
import type { ChatLink } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import * as news from "./news.ts";

export interface LeaderSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
}

const prefix = "$leader/";

/** [TE9] Reports a new leader to the chat, but not the leader at the time when the chat joined. */
export class LeaderWatch {
  readonly #around: LeaderSurroundings;
  /** Changes that are not stored yet. */
  #heard: Change[] = [];
  #stop: () => void = () => undefined;

  constructor(around: LeaderSurroundings) {
    this.#around = around;
  }

  follow(): void {
    this.#stop();
    this.#stop = this.#around.link.watch(prefix, (changes) => {
      this.#heard.push(...(changes ?? []));
      this.check();
    });
  }

  close(): void {
    this.#stop();
  }

  /** Stores changes that could not be stored before. */
  check(): void {
    if (this.#heard.length === 0) return;
    try {
      this.#tell(this.#heard);
      this.#heard = [];
    } catch (error) {
      this.#around.runtime.log("error", "a change of a leader is not written down yet", { error: String(error) });
    }
  }

  #tell(changes: readonly Change[]): void {
    const { runtime, link, sessionId, workspace } = this.#around;
    runtime.store.write((sql) => {
      for (const { key, value, revision } of changes) {
        const leader = leaderIn(value);
        const isSelf = leader !== null && leader === link.self?.chat;
        const told = { kind: "leader_changed", name: key.slice(prefix.length), leader, isSelf } as const;
        news.add(sql, runtime.now(), sessionId, `leader:${workspace}:${revision}`, told);
      }
    });
  }
}

function leaderIn(value: Change["value"]): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return typeof value["leader"] === "string" ? value["leader"] : null;
}

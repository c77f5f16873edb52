import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { CallError } from "../../contract/errors.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as members from "./members.ts";

export interface Abilities {
  readonly capabilities: string[];
  readonly capacity: number;
}

/** Metadata field by which the chat's next process keeps the stated abilities. */
const ownAbilitiesField = "hasOwnAbilities";
const timeoutMs = 5_000;

export class ChatAbilities {
  readonly #runtime: Pick<Runtime, "config" | "store">;
  readonly #link: CoordinatorClient;
  readonly #sessionId: string;
  #stated: Abilities | null = null;
  #isLoaded = false;

  constructor({ runtime, link, sessionId }: { runtime: Runtime; link: CoordinatorClient; sessionId: string }) {
    this.#runtime = runtime;
    this.#link = link;
    this.#sessionId = sessionId;
  }

  get current(): Abilities {
    const { capabilities, capacity } = this.#stated ?? this.#runtime.config.team;
    return { capabilities, capacity };
  }

  get metadata(): Record<string, boolean> {
    return this.#stated === null ? {} : { [ownAbilitiesField]: true };
  }

  change(changes: Partial<Abilities>): void {
    this.#stated = { ...this.current, ...changes };
  }

  /** Required to register: only the coordinator knows what an earlier process stated. */
  async load(): Promise<Result<null, CallError>> {
    const isMember = this.#runtime.store.read((sql) => members.find(sql, this.#sessionId) !== null, false);
    if (!isMember || this.#isLoaded) return ok(null);
    const chat = await this.#link.call("chats.get", { chat: this.#sessionId }, timeoutMs);
    if (!chat.ok && chat.error.code !== "unknown_chat") return chat;
    this.#isLoaded = true;
    if (chat.ok && chat.value.metadata[ownAbilitiesField] === true) this.#stated ??= chat.value;
    return ok(null);
  }
}

import type { CallError } from "../../contract/errors.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { ChatParts } from "./chat-parts.ts";
import * as members from "./members.ts";

export interface Abilities {
  readonly capabilities: string[];
  readonly capacity: number;
}

/** Metadata field by which the chat's next process keeps the stated abilities. */
const ownAbilitiesField = "hasOwnAbilities";
const timeoutMs = 5_000;

export class ChatAbilities {
  readonly #parts: Pick<ChatParts, "runtime" | "link" | "sessionId">;
  #stated: Abilities | null = null;
  #isLoaded = false;

  constructor(parts: Pick<ChatParts, "runtime" | "link" | "sessionId">) {
    this.#parts = parts;
  }

  get current(): Abilities {
    const { capabilities, capacity } = this.#stated ?? this.#parts.runtime.config.team;
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
    const { runtime, link, sessionId } = this.#parts;
    const isMember = runtime.store.read((sql) => members.find(sql, sessionId) !== null, false);
    if (!isMember || this.#isLoaded) return ok(null);
    const chat = await link.call("chats.get", { chat: sessionId }, timeoutMs);
    if (!chat.ok && chat.error.code !== "unknown_chat") return chat;
    this.#isLoaded = true;
    if (chat.ok && chat.value.metadata[ownAbilitiesField] === true) this.#stated ??= chat.value;
    return ok(null);
  }
}

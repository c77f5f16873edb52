import type { Chat } from "../../contract/chats.ts";
import { shortIdAmong } from "../../contract/short-id.ts";
import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { oneLine } from "../../shared/format.ts";
import { isWithin } from "../../shared/known-time.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import type { Naming } from "./chat-naming.ts";
import type { Holdings } from "./holdings.ts";

/** The name is the chat's own text: untrusted. */
export interface ChatIdentity {
  readonly name: string;
  readonly machine: string;
  readonly checkout: string;
  /** Null also for a chat of another machine, whose progress says it a little later. */
  readonly waiting: sessions.Waiting | null;
}

const validForMs = 60_000;
const timeoutMs = 5_000;
const maxNameChars = 80;

export class ChatDirectory {
  readonly #runtime: Pick<Runtime, "store" | "now">;
  readonly #link: () => CoordinatorClient | undefined;
  readonly #machine: string;
  readonly #naming: Naming;
  /** Chats of other machines. */
  readonly #cache = new Map<string, { readonly identity: ChatIdentity; readonly at: number }>();

  /** @param link without one only the chats of this machine have names */
  constructor(
    runtime: Pick<Runtime, "store" | "now">,
    link: () => CoordinatorClient | undefined,
    machine: string,
    naming: Naming,
  ) {
    this.#runtime = runtime;
    this.#link = link;
    this.#machine = machine;
    this.#naming = naming;
  }

  async identify(chat: string): Promise<ChatIdentity> {
    const local = this.#fromSession(chat);
    if (local) return local;
    const cached = this.#cache.get(chat);
    if (cached && isWithin(this.#runtime.now() - cached.at, validForMs)) return cached.identity;
    const answer = await this.#link()?.call("chats.get", { chat }, timeoutMs);
    if (answer?.ok) return this.fromChat(answer.value);
    return cached?.identity ?? { name: this.#shortName(chat), machine: "", checkout: "", waiting: null };
  }

  fromChat({ chat, machine, client, metadata }: Pick<Chat, "chat" | "machine" | "client" | "metadata">): ChatIdentity {
    const local = this.#fromSession(chat);
    if (local) return local;
    const title = this.#naming.titleOf({ chat, machine, metadata });
    const { checkout } = metadata;
    const name = title === null ? `${toLabel(client)} ${this.#shortName(chat)}` : toLabel(title);
    const identity = {
      name,
      machine: toLabel(machine),
      checkout: typeof checkout === "string" ? checkout : "",
      waiting: null,
    };
    this.#cache.set(chat, { identity, at: this.#runtime.now() });
    return identity;
  }

  #fromSession(chat: string): ChatIdentity | null {
    const session = this.#runtime.store.read((sql) => sessions.get(sql, chat), null);
    if (!session) return null;
    const title = sessions.displayTitle(session);
    const name = title === null ? this.#shortName(chat) : toLabel(title);
    const { project, waiting } = session;
    return { name, machine: this.#machine, checkout: project ?? "", waiting };
  }

  /** Unique among this machine's sessions and the chats named so far. */
  #shortName(chat: string): string {
    const localId = this.#runtime.store.read((sql) => shortSessionId(sql, chat), chat.slice(0, 8));
    const knownId = shortIdAmong(chat, this.#cache.keys());
    return localId.length > knownId.length ? localId : knownId;
  }
}

/** Untrusted text in a line of SHIM's own. */
function toLabel(text: string): string {
  return oneLine(redact(text).text.replaceAll(/["<>`]/g, " "), maxNameChars);
}

/** A chat in a team, as its parts see it. */
export interface ChatParts {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly link: CoordinatorClient;
  readonly directory: ChatDirectory;
  readonly holdings: Holdings;
  readonly sessionId: string;
  readonly workspace: string;
  /** False: an edge's operator could read what is sent in clear. */
  readonly isLocal: boolean;
  /** Whether heartbeats for its tasks are honest. */
  readonly isActive: () => boolean;
  /** Aborted: the chat is no longer served by this process. */
  readonly signal: AbortSignal;
}

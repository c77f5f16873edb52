import type { Chat } from "../../contract/chats.ts";
import type { ChatLink } from "../link/chat-link.ts";
import { shortIdAmong } from "../../shared/short-id.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import type { Naming } from "./naming.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** A chat's name and checkout, as far as this chat may know them. The name is the chat's own text: data. */
export interface Person {
  readonly name: string;
  readonly machine: string;
  /** The root of its work tree where that is known in clear; empty: not known. */
  readonly checkout: string;
}

const goodForMs = 60_000;
const withinMs = 5_000;
const mostNameChars = 80;

/** Names of chats: their own, or those that this machine knows of its sessions. */
export class Directory {
  readonly #runtime: Pick<Runtime, "store" | "now">;
  readonly #link: ChatLink;
  readonly #machine: string;
  readonly #naming: Naming;
  readonly #known = new Map<string, { readonly person: Person; readonly at: number }>();

  constructor(runtime: Pick<Runtime, "store" | "now">, link: ChatLink, machine: string, naming: Naming) {
    this.#runtime = runtime;
    this.#link = link;
    this.#machine = machine;
    this.#naming = naming;
  }

  async person(chat: string): Promise<Person> {
    const known = this.#known.get(chat);
    if (known && isWithin(this.#runtime.now() - known.at, goodForMs)) return known.person;
    const own = this.#ofSession(chat);
    if (own) return this.#keep(chat, own);
    const found = await this.#link.call("chats.get", { chat }, withinMs);
    if (found.ok) return this.of(found.value);
    return known?.person ?? { name: this.#short(chat), machine: "", checkout: "" };
  }

  /** From what was told of it. */
  of({ chat, machine, client, metadata }: Pick<Chat, "chat" | "machine" | "client" | "metadata">): Person {
    const own = this.#ofSession(chat);
    if (own) return this.#keep(chat, own);
    const title = this.#naming.titleOf({ chat, machine, metadata });
    const { checkout } = metadata;
    const name = title === null ? `${label(client)} ${this.#short(chat)}` : label(title);
    return this.#keep(chat, { name, machine: label(machine), checkout: typeof checkout === "string" ? checkout : "" });
  }

  #ofSession(chat: string): Person | null {
    const session = this.#runtime.store.read((sql) => sessions.get(sql, chat), null);
    if (!session) return null;
    const title = sessions.displayTitle(session);
    const name = title === null ? this.#short(chat) : label(title);
    return { name, machine: this.#machine, checkout: session.project ?? "" };
  }

  /** [CL78] Unique among the sessions of this machine and the chats that were named so far. */
  #short(chat: string): string {
    const here = this.#runtime.store.read((sql) => shortSessionId(sql, chat), chat.slice(0, 8));
    const named = shortIdAmong(chat, this.#known.keys());
    return here.length > named.length ? here : named;
  }

  #keep(chat: string, person: Person): Person {
    this.#known.set(chat, { person, at: this.#runtime.now() });
    return person;
  }
}

/** Another chat's words in a line of ours: one line, nothing that ends a quotation or a fence. */
function label(text: string): string {
  return redact(text)
    .text.replaceAll(/[\s"<>`]+/g, " ")
    .trim()
    .slice(0, mostNameChars);
}

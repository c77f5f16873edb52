import type { JsonObject } from "../../shared/json-fields.ts";
import type { Conversation, Item } from "./conversation.ts";

export interface ClientModel {
  readonly providerID: string;
  /** Name of the model; null: not known. */
  readonly modelID: string | null;
}

export interface NewSession {
  readonly env: NodeJS.ProcessEnv;
  /** Folder of the session, without links. */
  readonly cwd: string;
  /** Epoch ms. */
  readonly now: number;
  /** A fresh UUIDv4 with each call. */
  readonly uuid: () => string;
  /** Model with which the client continues, where its sessions name one; null: not known. */
  readonly model: ClientModel | null;
}

export interface WrittenSession {
  readonly id: string;
  /** File of the rows; null: they are one document, which the client's program imports. */
  readonly path: string | null;
  readonly rows: readonly JsonObject[];
}

/** Pure. Has a client's own words for a conversation. */
export interface SessionWriter {
  /** @param name in Claude Code's words */
  hasTool(name: string): boolean;
  /** @throws {Error} where the client keeps no session of such a folder */
  write(conversation: Conversation, to: NewSession): WrittenSession;
}

/** Items of the user or the model until the other one is next. */
export interface Exchange {
  readonly items: readonly Item[];
  /** The model's words, and its calls. */
  readonly isOfModel: boolean;
}

/** Words and calls of the model are one response until a result, a prompt or a summary follows. */
export function responsesOf(items: readonly Item[]): Exchange[] {
  const all: { items: Item[]; isOfModel: boolean }[] = [];
  for (const item of items) {
    const isOfModel = item.kind === "answer" || item.kind === "call";
    const last = all.at(-1);
    if (last && isOfModel && last.isOfModel) last.items.push(item);
    else all.push({ items: [item], isOfModel });
  }
  return all;
}

/** Times that never go back: an item without a later one has that of the item before it. */
export function timesOf(items: readonly Item[], now: number): (item: Item) => number {
  const times = new Map<Item, number>();
  let last = items.find(({ at }) => at !== null)?.at ?? now;
  for (const item of items) {
    last = Math.min(now, Math.max(last, item.at ?? last));
    times.set(item, last);
  }
  return (item) => times.get(item) ?? last;
}

/** APIs accept no other characters in the names of tools and the ids of calls. */
export function plainName(name: string, max: number): string {
  return name.replaceAll(/[^\w-]/g, "_").slice(0, max);
}

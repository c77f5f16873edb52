import type { LostPart } from "../../contract/machine/recovery.ts";
import { asObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** A session without what the form of one client alone can hold. */

interface Timed {
  /** Epoch ms; null: not known. */
  readonly at: number | null;
}

/** A picture that a person or a tool gave the model. */
export interface Picture {
  /** MIME type, of `image/`. */
  readonly type: string;
  /** base64 */
  readonly data: string;
}

/** Words of the user, or of the model. */
interface Said<Kind> extends Timed {
  readonly kind: Kind;
  readonly text: string;
  /** Absent: none, or the client keeps them elsewhere. */
  readonly pictures?: readonly Picture[];
}

export interface Call extends Timed {
  readonly kind: "call";
  readonly id: string;
  /** Claude Code's name of the tool; a tool that it does not have keeps its own. */
  readonly name: string;
  /** In Claude Code's words for a tool that has its name. */
  readonly input: unknown;
}

export interface CallResult extends Timed {
  readonly kind: "result";
  /** Id of the call. */
  readonly of: string;
  readonly text: string;
  readonly isError: boolean;
  /** Id of the sub-agent that did it; absent: none, or its client names none. */
  readonly agent?: string;
  readonly pictures?: readonly Picture[];
  /** Nothing is recorded: the call runs, or its result was lost. The text says so to a model. */
  readonly isMissing?: true;
}

/** Words that stood for all that precedes them when the model was asked. */
type Summary = Said<"summary">;

export type Item = Said<"prompt"> | Said<"answer"> | Call | CallResult | Summary;

export interface Conversation {
  /** Its id at the client that wrote it. */
  readonly session: string;
  /** Session whose sub-agent it is; null: none. */
  readonly parent: string | null;
  /** Model of the last answer; null: not known. */
  readonly model: string | null;
  /** Each call has a result, and those of calls at once follow the last of these. */
  readonly items: readonly Item[];
  readonly lost: ReadonlyMap<LostPart, number>;
  /** Parts of the file that could not be read, or are missing. */
  readonly damages: number;
}

interface Ordered {
  readonly items: readonly Item[];
  /** Calls that have got a result which says that there is none. */
  readonly missing: number;
}

const noResult = "[No result was recorded: the session ended before this call did, or its result was lost.]";

/**
 * Pure. APIs refuse a call that is not followed by its result, and a result without its call.
 * Results that came later move up to their calls, and those without a call are left out.
 */
export function withResultsAtCalls(items: readonly Item[]): Ordered {
  const results = new Map<string, CallResult>();
  for (const item of items) if (item.kind === "result" && !results.has(item.of)) results.set(item.of, item);
  const ordered: Item[] = [];
  let open: Call[] = [];
  let missing = 0;
  const close = (): void => {
    for (const { id, at } of open) {
      const result = results.get(id);
      if (!result) missing += 1;
      ordered.push(result ?? { kind: "result", of: id, text: noResult, isError: true, isMissing: true, at });
    }
    open = [];
  };
  for (const item of items) {
    // The words of a response may follow its calls.
    if (item.kind !== "call" && item.kind !== "answer") close();
    if (item.kind === "result") continue;
    ordered.push(item);
    if (item.kind === "call") open.push(item);
  }
  close();
  return { items: ordered, missing };
}

/** Parts of a row that `LineFormat` does not keep. */
export interface RowContents {
  /** Results of calls as the model read them; `isCut`: the client had left a part of it out. */
  readonly outputs?: readonly { readonly of: string | null; readonly text: string; readonly isCut: boolean }[];
  /** Call that `readRow` leaves out or shortens, or has as several. */
  readonly call?: { readonly id: string; readonly name: string; readonly input: unknown };
  /** Another row has the calls of this one. */
  readonly repeatsCalls?: boolean;
  readonly images?: number;
  /**
   * Images that stand in the row. `of`: id of the call whose result has it; null: the words do.
   */
  readonly pictures?: readonly (Picture & { readonly of: string | null })[];
  readonly thoughts?: number;
  /** The row is one of a sub-agent's own chat. */
  readonly isOfSubagent?: boolean;
}

type RowPictures = NonNullable<RowContents["pictures"]>;

/** A picture of a row, by its type and base64; none where one is missing. */
export function pictureOf(of: string | null, type: string | null, data: string | null): RowPictures {
  return type?.startsWith("image/") && data !== null ? [{ of, type, data }] : [];
}

/** The same by an address that holds both. */
export function pictureAt(of: string | null, address: string | null): RowPictures {
  const [, type = null] = /^data:(image\/[\w.+-]{1,40});base64,/.exec(address?.slice(0, 80) ?? "") ?? [];
  return pictureOf(of, type, address?.slice(address.indexOf(",") + 1) ?? null);
}

/** @param inline as messages of Gemini have it, among the words */
export function inlinePicture(inline: JsonObject | null): RowPictures {
  return pictureOf(null, textAt(inline, "mimeType"), textAt(inline, "data"));
}

/** Number of blocks of such a type. */
export function countOf(blocks: readonly unknown[], type: RegExp): number {
  return blocks.filter((block) => type.test(textAt(asObject(block), "type") ?? "")).length;
}

export type ReadContents = (row: JsonObject) => RowContents;

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

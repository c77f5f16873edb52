import { statSync } from "node:fs";
import type { JournalKind } from "../../../contract/journal.ts";
import { asObject, textAt } from "../../../shared/json-fields.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { readAgentItems, readItems, readKept, type Size } from "../../recovery/learnt/session-items.ts";
import { timeline } from "../../recovery/session-view.ts";
import { promptNumbers } from "../../files/moments.ts";
import { isAlive } from "../../sessions/life/presence.ts";
import * as journal from "../../sessions/journal.ts";
import * as news from "../../sessions/news.ts";
import { isQueued, isSame } from "../../sessions/prompts.ts";
import { readContent, type SessionContent } from "../../sessions/session-content.ts";
import type { Session } from "../../sessions/sessions.ts";
import { rowsOf, type Note, type Row, type StoredPrompt } from "./rows.ts";

export interface Conversation {
  /** Oldest first. */
  readonly rows: readonly Row[];
  /** SHIM's journal stands for the client's transcript. */
  readonly isPartial: boolean;
}

/** Read for the newest rows, and for all others. */
const sizes: Readonly<Record<"newest" | "all", Size>> = {
  newest: { bytes: 600_000, chars: 400_000 },
  all: { bytes: 20_000_000, chars: 20_000_000 },
};

/**
 * Rows by what the client keeps, and by SHIM's journal where that knows more or the client keeps
 * nothing. Reads files, so not to be called in a transaction.
 *
 * @param part newest: a quick read, whose first row may be any
 */
export function readConversation(runtime: Runtime, session: Session, part: keyof typeof sizes): Conversation {
  const newest = part === "newest" ? readOnce(runtime, session, part) : null;
  // A row without a time is known by its number among those that say the same.
  if (newest?.rows.every((row) => row.kind === "call" || row.at !== null)) return newest;
  return readOnce(runtime, session, "all");
}

function readOnce(runtime: Runtime, session: Session, part: keyof typeof sizes): Conversation {
  const mark = markOf(runtime, session);
  const known = lastRead[part].get(runtime.store);
  const conversation = known?.mark === mark ? known.conversation.deref() : undefined;
  if (mark !== null && conversation) return conversation;
  const read = readNow(runtime, session, part);
  lastRead[part].set(runtime.store, { mark, conversation: new WeakRef(read) });
  return read;
}

/** An open page asks for the same rows again and again; nothing else holds them in memory. */
type LastRead = WeakMap<
  Runtime["store"],
  { readonly mark: string | null; readonly conversation: WeakRef<Conversation> }
>;
const lastRead: Readonly<Record<keyof typeof sizes, LastRead>> = { newest: new WeakMap(), all: new WeakMap() };

/** Another one when anything of the session may have changed; null: that cannot be seen. */
function markOf(runtime: Runtime, session: Session): string | null {
  const file = session.transcriptPath === null ? null : statSync(session.transcriptPath, { throwIfNoEntry: false });
  if (!file) return null;
  const seq = runtime.store.read((sql) => journal.newestSeq(sql, session.id), 0);
  const waiting = runtime.store.read((sql) => news.waitingWords(sql, session.id).length, 0);
  return [session.id, file.size, file.mtimeMs, seq, waiting, isAlive(runtime, session)].join(" ");
}

function readNow(runtime: Runtime, session: Session, part: keyof typeof sizes): Conversation {
  const newest = part === "newest" ? readKept(runtime, session, sizes.newest) : null;
  const { items, from } = newest
    ? { items: newest, from: "transcript" as const }
    : readItems(runtime, session, sizes.all);
  const stored = runtime.store.read((sql) => readStored(sql, session.id), { prompts: [], notes: [] });
  const rows = rowsOf({ items, ...stored, isAlive: isAlive(runtime, session) }, runtime.now());
  return { rows, isPartial: from !== "transcript" };
}

/**
 * Rows of the sub-agent that a call has started; none where its client keeps none.
 *
 * @param rows of the session
 * @param id of the row of the call
 */
export function readAgent(runtime: Runtime, session: Session, rows: readonly Row[], id: string): Conversation {
  const calls = rows.flatMap((row) => (row.kind === "call" ? [row] : []));
  const call = calls.find((row) => row.id === id);
  const others = new Set(calls.flatMap((row) => (row === call ? [] : (row.result?.agent ?? []))));
  const prompt = textAt(asObject(call?.call.input), "prompt");
  const named = { agent: call?.result?.agent ?? null, prompt, others };
  const items = call ? readAgentItems(runtime, session, named, sizes.all) : [];
  const isAlive = call?.isRunning === true;
  return { rows: rowsOf({ items, prompts: [], notes: [], isAlive }, runtime.now()), isPartial: false };
}

function readStored(sql: Sql, session: string): { prompts: StoredPrompt[]; notes: Note[] } {
  const content = readContent(sql, session);
  const waiting = news.waitingWords(sql, session);
  const numbers = promptNumbers(sql, session);
  const delivered = news.deliveredWords(sql, session);
  const sentAt = (from: string | null, text: string, until: number): number => {
    const found = delivered.findIndex((one) => one.by === from && one.at <= until && isSame(one.text, text));
    return found < 0 ? until : (delivered.splice(found, 1)[0]?.at ?? until);
  };
  const prompts = content.journal.flatMap(({ seq, at, entry }): StoredPrompt[] => {
    if (entry.kind !== "prompt") return [];
    const { text, from = null } = entry;
    const isWaiting = isQueued(entry);
    return [{ at, sentAt: sentAt(from, text, at), text, from, isWaiting, number: numbers.get(seq) ?? null }];
  });
  return {
    prompts: [
      ...prompts,
      ...waiting.map(({ at, by, text }) => ({ at, sentAt: at, text, from: by, isWaiting: true, number: null })),
    ],
    notes: notesOf(content),
  };
}

/** Kinds of the journal that stand as notes, and whether they tell of something bad. */
const kinds: Readonly<Partial<Record<string, boolean>>> = {
  failure: true,
  interrupted: false,
  taken_back: false,
  given_back: false,
  plan: false,
  answers: false,
  recap: false,
  continues: false,
  detached: true,
  end: false,
  unread: true,
  damaged: true,
} satisfies Partial<Record<JournalKind, boolean>>;

function notesOf(content: SessionContent): Note[] {
  return timeline(content, undefined, (text) => text).flatMap(({ at, source, kind, text }) => {
    // A summary that the client shows is a row of its own.
    const isBad = source === "journal" ? kinds[kind] : source === "crash";
    const isShown = source === "journal" ? isBad !== undefined || text === "compacted" : isFate(source);
    return isShown ? [{ at, text, isBad: isBad === true }] : [];
  });
}

function isFate(source: string): boolean {
  return source === "crash" || source === "recovery";
}

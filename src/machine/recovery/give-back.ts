import { adapterOf } from "../../clients/adapters.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import type { Sql } from "../../shared/sql.ts";
import { currentState } from "../checkpoints/capture.ts";
import { digest } from "../sessions/entries.ts";
import * as journal from "../sessions/journal.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { missingFrom } from "./brief/compaction.ts";

/** Gives a chat what its client's compaction dropped, with the first event that can carry it. */

const unknownCompaction: NonNullable<ClientAdapter["compaction"]> = { keepsPrompts: false, showsSummary: false };

export function compactionOf(client: string): NonNullable<ClientAdapter["compaction"]> {
  return adapterOf(client)?.compaction ?? unknownCompaction;
}

/** @param key of the journal's entry of the summary */
export function noteCompaction(sql: Sql, now: number, session: string, key: string): void {
  news.add(sql, now, session, key, { kind: "compaction" });
}

/** Returns null where no compaction is waiting, or its summary lacks nothing. */
export function giveBack(sql: Sql, now: number, id: string): string | null {
  const waiting = news.undeliveredOf(sql, id, "compaction", -1);
  if (waiting.length === 0) return null;
  news.markDelivered(sql, now, waiting);
  const client = sessions.get(sql, id)?.client ?? "";
  const { keepsPrompts, showsSummary } = compactionOf(client);
  // The start after the compaction has given it back already.
  const state = showsSummary ? currentState(sql, id) : null;
  const text = state && missingFrom({ state }, state.compactSummary, keepsPrompts);
  if (text !== null) recordGivenBack(sql, now, id, text);
  return text;
}

export function recordGivenBack(sql: Sql, now: number, id: string, text: string): void {
  journal.append(sql, id, now, `given_back:${now}:${digest(text)}`, { kind: "given_back", text });
}

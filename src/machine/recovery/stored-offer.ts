import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import type { News } from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { brief, type Occasion } from "./brief/brief.ts";
import { offeredLine } from "./brief/user-lines.ts";
import type { Restoration } from "./incomplete/restoration.ts";

type StoredOffer = Extract<News, { from: object }>;

/** Prompts after the first, and characters of the client's summary that a brief may need. */
const keptLimits = { prompts: 40, summary: 8_000 };

/** For an offer of another machine. Keeps the data of the brief, which is written at delivery. */
export function toStoredOffer(from: Restoration, machine: string, occasion: Occasion): StoredOffer {
  const { state } = from;
  const slim = {
    ...state,
    prompts: [...state.prompts.slice(0, 1), ...state.prompts.slice(1).slice(-keptLimits.prompts)],
    compactSummary: state.compactSummary?.slice(0, keptLimits.summary) ?? null,
  };
  return { kind: "offer", session: from.session.id, machine, from: { ...from, state: slim }, occasion };
}

/** The line that the user reads with the prompt that brings the offer. */
export function storedLine(sql: Sql, runtime: Runtime, { from }: StoredOffer, chat: string): string | null {
  const client = sessions.get(sql, chat)?.client ?? "";
  return offeredLine(sql, runtime, { ...(from as Restoration), more: 0 }, client);
}

export function toDelivered(news: News, now: number): News {
  if (news.kind !== "offer" || !("from" in news)) return news;
  const { kind, session, machine } = news;
  return { kind, session, machine, brief: renderBrief(news, now) };
}

/** Uses the ages of this moment. */
export function renderBrief({ from, occasion }: StoredOffer, now: number): string {
  return brief(from as Restoration, now, occasion as Occasion);
}

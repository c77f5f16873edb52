import type { News } from "../sessions/news.ts";
import { brief, type Occasion } from "./brief.ts";
import type { Restoration } from "./restoration.ts";

type Offer = Extract<News, { kind: "offer" }>;

/** Turns and characters of the client's summary that a brief may need. */
const keptLimits = { turns: 6, summary: 4_000 };

/** Keeps the data of the brief, which is written at delivery. */
export function toOffer(from: Restoration, session: string, machine: string, occasion: Occasion): Offer {
  const { state } = from;
  const slim = {
    ...state,
    conversation: state.conversation.slice(-keptLimits.turns),
    compactSummary: state.compactSummary?.slice(0, keptLimits.summary) ?? null,
  };
  return { kind: "offer", session, machine, from: { ...from, state: slim }, occasion };
}

export function toDelivered(news: News, now: number): News {
  if (news.kind !== "offer") return news;
  const { kind, session, machine } = news;
  return { kind, session, machine, brief: renderBrief(news, now) };
}

/** [RE36] Uses the ages of this moment. */
export function renderBrief({ from, occasion, brief: written }: Offer, now: number): string {
  return from ? brief(from as Restoration, now, (occasion ?? "brief") as Occasion) : (written ?? "");
}

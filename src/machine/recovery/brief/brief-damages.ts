import type { DamagedParts } from "../../../contract/work-state.ts";
import { unreadParts } from "../../../shared/format.ts";
import type { BriefContext, BriefLine } from "./brief-quotes.ts";
import { formatAgo } from "./brief-text.ts";
import type { Restoration } from "../incomplete/restoration.ts";

/** Points of the transcript that a brief names. */
const maxPoints = 4;

/** Pure. Parts of the transcript that are unknown, and where they stand. */
export function damageLines({ state }: Pick<Restoration, "state">, { now }: BriefContext): BriefLine[] {
  const { damaged } = state;
  if (!damaged) return [];
  const { count, isBranched } = damaged;
  const them = count === 1 ? "it" : "them";
  const unread = `${unreadParts(count, "of its transcript")} (${pointsOf(damaged, now)}): what stood in ${them} is unknown`;
  const branches =
    "its transcript goes on along two branches, as when two chats write one session: both are quoted here, and its client continues only the newer one";
  return [...(count > 0 ? [unread] : []), ...(isBranched ? [branches] : [])].map((text) => ({ text, rank: 0 }));
}

function pointsOf({ parts, count, isAtEnd }: DamagedParts, now: number): string {
  const times = isAtEnd ? parts.slice(0, -1) : parts;
  const points = times.map(({ at }) => (at === null ? "at its beginning" : formatAgo(now, at)));
  const distinct = [...new Set(points)];
  const shown = distinct.slice(0, maxPoints);
  const more = count > parts.length || distinct.length > shown.length ? ["at further points"] : [];
  return [...shown, ...more, ...(isAtEnd ? ["at its end"] : [])].join(", ");
}

import type { Runtime } from "../../runtime/runtime.ts";
import { toDelivered } from "../recovery/offers.ts";
import { markDelivered, undelivered, type NewsRow } from "../sessions/news.ts";

const maxNews = 20;
const maxChars = 20_000;

/** The oldest news that a chat has not had, which count as delivered. */
export function takeNews(
  { store, now }: Runtime,
  session: string,
): { readonly rows: readonly NewsRow[]; readonly isMore: boolean } {
  const at = now();
  return store.write((sql) => {
    const waiting = undelivered(sql, session, maxNews + 1).map((row) =>
      Object.assign(row, { news: toDelivered(row.news, at) }),
    );
    const rows = fittingRows(waiting);
    markDelivered(sql, at, rows);
    return { rows, isMore: rows.length < waiting.length };
  });
}

function fittingRows(rows: readonly NewsRow[]): NewsRow[] {
  const fits: NewsRow[] = [];
  let chars = 0;
  for (const row of rows.slice(0, maxNews)) {
    chars += JSON.stringify(row.news).length;
    if (fits.length > 0 && chars > maxChars) break;
    fits.push(row);
  }
  return fits;
}

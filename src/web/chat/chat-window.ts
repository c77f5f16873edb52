import type { MachineOutput } from "../../contract/machine/operations.ts";

/** Pure: the part of a conversation that the page has, in one piece. */

type Page = MachineOutput<"conversation.read">;

export interface ShownRow {
  readonly row: Page["rows"][number];
  /** By `performance.now()`; its age was right then. */
  readonly at: number;
}

export interface ChatWindow extends Pick<Page, "hasEarlier" | "hasLater" | "isPartial"> {
  /** Oldest first. */
  readonly rows: readonly ShownRow[];
}

/** Rows that the page has at most: those at the other end are read again when they are needed. */
const maxRows = 400;

/** @param at by `performance.now()`, when the page was read */
export function opened(page: Page, at: number): ChatWindow {
  const { hasEarlier, hasLater, isPartial } = page;
  return { rows: page.rows.map((row) => ({ row, at })), hasEarlier, hasLater, isPartial };
}

/** With the rows before its first one. */
export function withEarlier(window: ChatWindow, page: Page, at: number): ChatWindow {
  if (page.isReset) return opened(page, at);
  const rows = [...opened(page, at).rows, ...window.rows];
  const isCut = rows.length > maxRows;
  return {
    ...window,
    rows: rows.slice(0, maxRows),
    hasEarlier: page.hasEarlier,
    hasLater: window.hasLater || isCut,
  };
}

/** With the rows from {@link nextFrom} on, in place of those that it has from there. */
export function withLater(window: ChatWindow, page: Page, at: number): ChatWindow {
  const first = page.rows[0]?.id;
  const known = window.rows.findIndex(({ row }) => row.id === first);
  if (page.isReset || known < 0) return opened(page, at);
  // A page that ends before the newest known row takes none of them away.
  const last = window.rows.findIndex(({ row }) => row.id === page.rows.at(-1)?.id);
  const behind = page.hasLater && last >= 0 ? window.rows.slice(last + 1) : [];
  const all = [...window.rows.slice(0, known), ...opened(page, at).rows, ...behind];
  const rows = all.slice(-maxRows);
  const hasLater = behind.length > 0 ? window.hasLater : page.hasLater;
  return { ...window, rows, hasEarlier: window.hasEarlier || rows.length < all.length, hasLater };
}

/** Newest rows that may still change: later ones can end a call, or the wait of words. */
const unsettledRows = 50;

/** The row from which what is new is read; null: there is no row. */
export function nextFrom({ rows }: ChatWindow): string | null {
  const first = Math.max(0, rows.length - unsettledRows);
  const running = rows.findIndex(({ row }, at) => at >= first && row.kind === "call" && row.outcome === "running");
  const unstored = rows.findIndex(({ row }, at) => at >= first && row.kind === "prompt" && row.number === null);
  // Its id, and its place, may be others once it is stored: the row before it is read, too.
  const open = [running, unstored > 0 ? unstored - 1 : unstored].filter((at) => at >= 0);
  return rows[Math.min(...open, rows.length - 1)]?.row.id ?? null;
}

/** Where the next part begins if this one ended before the newest known row; null: it did not. */
export function nextPart({ rows }: ChatWindow, page: Page): string | null {
  const last = page.rows.at(-1)?.id ?? null;
  return last === rows.at(-1)?.row.id ? null : last;
}

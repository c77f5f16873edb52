import { joinedEmoji, unseen } from "../contract/unseen-text.ts";

/** Pure. */

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function dollars(usd: number): string {
  return usd > 0 && usd < 0.01 ? "< $0.01" : `$${usd.toFixed(2)}`;
}

export function count(n: number, noun: string): string {
  // The first number that a browser writes so takes a slow phone 80 ms.
  return `${n < 1_000 ? n : n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

/** `contextFill` and `lost_chats` as words. */
export function words(name: string): string {
  return name
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll(/[_-]/g, " ")
    .toLowerCase();
}

export function shortPath(path: string): string {
  const parts = path.split("/");
  return parts.length > 3 ? `…/${parts.slice(-2).join("/")}` : path;
}

/** The last part of a path, and what is above it. */
export function splitPath(path: string): readonly [name: string, above: string] {
  const at = path.lastIndexOf("/");
  return at < 0 ? [path, ""] : [path.slice(at + 1) || path, path.slice(0, at)];
}

const controls = /[^\P{Cc}\n\t]/gu;
const joinedOrUnseen = new RegExp(`(${joinedEmoji})|${unseen}`, "gu");

/** Texts of chats may hold anything. */
export function plain(text: string): string {
  const shown = text.replaceAll(joinedOrUnseen, (_found, whole?: string) => whole ?? "�");
  return shown.replaceAll(controls, " ");
}

/** Whether each word of the query is in one of the texts. */
export function matches(query: string, texts: readonly (string | null)[]): boolean {
  const all = texts.join("\n").toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

export function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

/** Making one costs a slow phone some ms. */
const clocks = new Map<boolean, Intl.DateTimeFormat>();

/** Without the day where that is today. @param at epoch ms by this browser; null: not known */
export function timeText(at: number | null): string {
  if (at === null) return "before this page was opened";
  const isToday = new Date(at).toDateString() === new Date().toDateString();
  const day = isToday ? {} : ({ day: "numeric", month: "short" } as const);
  const clock =
    clocks.get(isToday) ?? new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit" });
  clocks.set(isToday, clock);
  return clock.format(at);
}

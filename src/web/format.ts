/** Pure. */

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function dollars(usd: number): string {
  return usd > 0 && usd < 0.01 ? "< $0.01" : `$${usd.toFixed(2)}`;
}

export function count(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
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
/** Marks of direction, zero-width characters, tags: they hide or reorder what follows. */
const unseen = String.raw`[\u00AD\u061C\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]`;

const emoji = String.raw`\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?`;
/** Emoji that a zero-width character joins, and flags of Great Britain, which end in tags. */
const joined = String.raw`${emoji}(?:\u200D${emoji})+|\u{1F3F4}\u{E0067}\u{E0062}[\u{E0061}-\u{E007A}]{3}\u{E007F}`;
const joinedOrUnseen = new RegExp(`(${joined})|${unseen}`, "gu");

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

import { basename } from "node:path";
import type { Item } from "../../../clients/conversation/conversation.ts";

/** Pure: a sentence of the chat about an edit. */

/** Items before and after the edit: words that are farther away are seldom about it. */
const near = 12;
const chars = { least: 20, most: 220 };

/**
 * The chat's sentence nearest to an edit that names its file or a declaration that it changed;
 * null: none does.
 *
 * @param position of the edit in the items
 */
export function sentenceAbout(
  items: readonly Item[],
  position: number,
  file: string,
  changed: readonly string[],
): string | null {
  const names = [basename(file), ...changed];
  for (let away = 1; away <= near; away++)
    for (const at of [position - away, position + away]) {
      const item = items[at];
      const found = item?.kind === "answer" ? sentencesOf(item.text).find((one) => namesAny(one, names)) : undefined;
      if (found !== undefined) return found;
    }
  return null;
}

function namesAny(sentence: string, names: readonly string[]): boolean {
  return names.some((name) => sentence.includes(name));
}

/** Sentences that can be quoted whole; no code, rows of tables or headings. */
function sentencesOf(text: string): string[] {
  return text
    .replaceAll(/^```[^]*?^```/gm, "")
    .split(/(?<=[.!?])\s+|(?<=[。！？])|\n+/)
    .map((one) => one.replace(/^\s*(?:[-*+]|\d{1,3}\.)\s+/, "").trim())
    .filter(
      (one) => one.length >= chars.least && one.length <= chars.most && !/^[#|>]/.test(one) && !one.endsWith(":"),
    );
}

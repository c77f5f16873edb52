import { joinedEmoji, unseen } from "../contract/unseen-text.ts";

// oxlint-disable no-control-regex, no-misleading-character-class -- these are the characters that must not stay
const escapes =
  /\u001B(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[ -/]*[0-Z\\-~])|\u009B[0-?]*[ -/]*[@-~]/g;
const unseenAnywhere = new RegExp(unseen, "gu");
const unseenOrControl = new RegExp(`${unseen}|[\\u007F-\\u009F]`, "gu");
// oxlint-enable no-control-regex, no-misleading-character-class
const controls = /[^\P{Cc}\n\t]/gu;

/** Pure. Lines stay. */
export function visible(text: string): string {
  return text.replaceAll(escapes, "").replaceAll(unseenAnywhere, "").replaceAll(controls, " ");
}

/** Escapes the same characters, so that the JSON value stays. */
export function visibleJson(json: string): string {
  return json.replaceAll(unseenOrControl, (found) =>
    Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
      "",
    ),
  );
}

/** A run of a character that is not seen, or is an unusual blank; also the bracket of the marks. */
const hidden = String.raw`((?![ \n\t])[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{DI}\u2800\u27E8])\2*`;
const joinedOrHidden = new RegExp(String.raw`(${joinedEmoji}|\p{Extended_Pictographic}\uFE0F)|${hidden}`, "gu");
/** Longer runs push what follows out of sight. */
const longRuns = /\n(?:[ \t]*\n){4,}|[ \t]{25,}|\t{9,}/g;

/**
 * Pure. Makes all of a text seen, for a person who decides on it: characters without a sign and
 * long blanks get marks, as `⟨U+202E⟩` and `⟨3,000 blanks⟩`, which no text has of its own.
 */
export function revealed(text: string): string {
  const marked = text.replaceAll(joinedOrHidden, (found, emoji?: string, char = "") => {
    if (emoji !== undefined) return emoji;
    const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    const times = found.length / char.length;
    return times === 1 ? `⟨U+${code}⟩` : `⟨U+${code} ${times.toLocaleString("en-US")} times⟩`;
  });
  return marked.replaceAll(longRuns, (run) => {
    if (!run.includes("\n")) return `⟨${run.length.toLocaleString("en-US")} blanks⟩`;
    return `\n⟨${(run.split("\n").length - 2).toLocaleString("en-US")} empty lines⟩\n`;
  });
}

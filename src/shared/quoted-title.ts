import { oneLine } from "./format.ts";

const maxTitleChars = 60;

/** On one line, and without what ends the quotation, a tag or code. */
export function quotedTitle(title: string | null, max = maxTitleChars): string {
  const line = oneLine((title ?? "").replaceAll('"', "'").replaceAll(/[<>`]/g, " "));
  if (line === "") return "an untitled chat";
  const chars = Array.from(line);
  const start = chars.slice(0, max - 4).join("");
  return `"${chars.length <= max ? line : `${start.trimEnd()} ...`}"`;
}

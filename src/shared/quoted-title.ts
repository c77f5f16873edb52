import { visible } from "./visible-text.ts";

const maxTitleChars = 60;

/** Keeps the title on one line and without characters that could change its appearance. */
export function quotedTitle(title: string | null, max = maxTitleChars): string {
  const line = visible(title ?? "")
    .replaceAll('"', "'")
    .replaceAll(/\s+/g, " ")
    .trim();
  if (line === "") return "an untitled chat";
  const chars = Array.from(line);
  const start = chars.slice(0, max - 4).join("");
  return `"${chars.length <= max ? line : `${start.trimEnd()} ...`}"`;
}

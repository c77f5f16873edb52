import type { Line } from "./brief-lines.ts";
import { fileHeading, saysChanged, saysChangedSince, saysSame } from "./judge-words.ts";

/** What one mention of a file claims about it. */
export interface Mention {
  readonly isChanged: boolean;
  readonly isSame: boolean;
  /** That it is not any more as the session left it. */
  readonly isChangedSince: boolean;
  readonly line: string;
}

/** All lines that speak about the state of the file, and those that just name it. */
export function mentionsOf(lines: readonly Line[], path: string): Mention[] {
  return lines.flatMap((line) => (names(line.text, path) ? [mentionIn(line, path.toLowerCase())] : []));
}

function names(text: string, path: string): boolean {
  const at = text.indexOf(path.toLowerCase());
  if (at === -1) return false;
  const [before, after] = [text[at - 1] ?? " ", text[at + path.length] ?? " "];
  return !/[\w.-]/.test(before) && !/[\w/-]/.test(after);
}

function mentionIn(line: Line, path: string): Mention {
  const claim = claimOn(line, path);
  const isSame = saysSame.test(claim);
  const isChangedSince = saysChangedSince.test(claim) && !isSame;
  return {
    isChanged: saysChanged.test(claim.replaceAll(/\bnot (changed|modified)\b/g, "")),
    isSame,
    isChangedSince,
    line: line.text,
  };
}

/**
 * The words that tell the state of the path: what stands in brackets and after a colon behind it, else its part of the line,
 * else the part before it, else the heading.
 */
function claimOn({ text, heading }: Line, path: string): string {
  const at = text.indexOf(path);
  const behind =
    /^[`"')]*\s*(\([^)]*\)[^,;|]*|[:|=]\s*[^,;|]*|\u2014[^,;|]*|\[[^\]]*\])/.exec(text.slice(at + path.length))?.[0] ??
    "";
  if (isClaim(behind)) return behind;
  const parts = text.split(/[;|]|\. /);
  const own = parts.findIndex((part) => part.includes(path));
  for (const part of parts.slice(0, own + 1).toReversed()) {
    const words = part.replaceAll(/\S+[/.]\w+\S*/g, " ");
    if (isClaim(words)) return words;
  }
  return fileHeading.test(heading) || isClaim(heading) ? heading : "";
}

function isClaim(words: string): boolean {
  return saysChanged.test(words) || saysSame.test(words) || saysChangedSince.test(words);
}

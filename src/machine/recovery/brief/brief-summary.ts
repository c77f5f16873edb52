import { inBrief } from "../../../contract/limits.ts";
import type { WorkState } from "../../../contract/work-state.ts";
import { excerpt } from "../../sessions/text/excerpt.ts";
import { neutralize } from "../../sessions/text/neutralize.ts";
import { Passages } from "../../sessions/text/passages.ts";
import type { Restoration } from "../incomplete/restoration.ts";
import { headed, laterThan, type BriefContext, type BriefLine, type Growth } from "./brief-quotes.ts";
import { formatWhen, oneLine, sanitize } from "./brief-text.ts";

/** Pure: what a brief quotes of the client's own summary of what it compacted. */

/** After so many prompts what the client had summed up is mostly history. */
const oldPrompts = 4;

/** Ranks: first characters of what is chosen, words about files, items with names, other items. */
interface Worth {
  readonly early: { readonly rank: number; readonly chars: number };
  readonly files: number;
  readonly named: number;
  readonly other: number;
  /** Characters of all items. */
  readonly chars: number;
  /** Tokens that the brief may have with them. */
  readonly most: number;
}
const { fresh, newer, old } = inBrief.summary;
/** Characters of a line of one that is quoted as it was written. */
const longestLine = 1_500;
/** Characters of what stands below one line, and is quoted as a whole or not at all. */
const wholeChars = 900;
/** One without a prompt since is quoted as it was written; ranks of its parts. */
const freshWorth = {
  ranks: { ahead: 1.1, found: 1.2, asked: 1.25, files: 1.42, text: 1.45 },
  most: 2_500,
};
const worths: readonly [newer: Worth, old: Worth] = [
  { early: { rank: 1.97, chars: 700 }, files: 2.1, named: 2.2, other: 3.2, chars: newer, most: 1_900 },
  { early: { rank: 2.2, chars: 500 }, files: 2.9, named: 3, other: 4.1, chars: old, most: 1_900 },
];
/** Behind all that is newer: the chat has edited since what the item is about. */
const staleRank = 4.5;

/** Headings of what points ahead. */
const ahead = /(?:pending|next step|current work|open (?:task|question|item)|remaining|to ?do|未|残|次)/i;
/** Headings of these that the next prompt replaces. */
const passing = /^(?:[^:]{0,40}\b)?(?:current|active|next)\b[^:]{0,40}:/i;
/** Headings of what was found out and decided. */
const found = /error|fix|problem|decision|design|決|修正|問題/i;
const fileParts = /\bfiles?\b/i;
/** The user's prompts stand in the brief anyway, but for those of parts that are not here. */
const promptParts = /user messages/i;
/** How parts may begin; the first of these lines says which of them it is. */
const partStarts = [/^[ \t]{0,8}#{1,4} /, /^(?<indent>[ \t]{0,8})\d{1,3}\. /, /^[ \t]{0,8}\*\*[^*]{2,60}\*\*:?/];
/** Names as people write code: in quotes, with a case or a sign within, calls, options, files. */
const workName = /`[^`\n]{2,80}`|\b[a-z]+(?:[A-Z]|_[a-z])\w*|\b\w+\(|\B--[a-z][\w-]+|\b[\w-]{1,80}\.[a-z]{1,5}\b/g;
const fence = /^\s*'''/;
/** More than a sign, or "(none)": a long word, or two. */
const says = /\p{L}{5}|\p{L}{2,4}\P{L}+\p{L}{2,4}|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]{2}/u;
const itemChars = inBrief.summary.item;

export function compactionLine({ state }: Restoration, now: number): BriefLine[] {
  const { compaction = 0, summary = 0 } = state.statedAt;
  if (compaction === 0 || compaction < summary) return [];
  return [{ text: `its client compacted it${formatWhen(now, compaction)}; the summary cannot be read`, rank: 0 }];
}

/** Words of the summary about a file, for the line of that. */
export interface SummedUpFile extends Pick<Growth, "rank" | "most"> {
  readonly text: string;
}

/** A summary of the client, read once for all attempts at a brief. */
export interface Summary {
  readonly parts: readonly Part[];
  /** By the path, of files that the chat has not edited since. */
  readonly files: ReadonlyMap<string, SummedUpFile>;
}

/** @param paths absolute ones of the brief */
export function readSummary(state: WorkState, paths: readonly string[]): Summary {
  const { compactSummary, editedSince = [] } = state;
  if (compactSummary === null) return { parts: [], files: new Map() };
  const { parts, files } = splitUp(compactSummary, paths, new Set(editedSince));
  const { files: rank, most } =
    laterPrompts(state) === 0 ? { ...freshWorth, files: freshWorth.ranks.files } : worthOf(state);
  const share = Math.min(inBrief.summary.file.most, inBrief.summary.file.all / files.size);
  const ranked = [...files].map(
    ([path, text], index) => [path, { rank: rank + index / 1_000, most, text: excerpt(text, share) }] as const,
  );
  return { parts, files: new Map(ranked) };
}

function laterPrompts({ prompts, statedAt }: WorkState): number {
  return laterThan(prompts, statedAt.summary ?? 0);
}

function worthOf(state: WorkState): Worth {
  return worths[laterPrompts(state) < oldPrompts ? 0 : 1];
}

export function summaryLines({ state }: Restoration, { parts }: Summary, { now, scale }: BriefContext): BriefLine[] {
  const { compactSummary, statedAt, prompts } = state;
  if (compactSummary === null || compactSummary.trim() === "") return [];
  const { summary: at = 0 } = statedAt;
  const later = laterPrompts(state);
  const isLimited = state.compactions > 0;
  const from = `the client's own summary of what it compacted${formatWhen(now, statedAt.summary)}, perhaps outdated`;
  if (later === 0) {
    const bound = isLimited ? { most: freshWorth.most } : {};
    const written = writtenParts(state, parts);
    const allottedLines = allotted(written, fresh * scale);
    const lines = written.flatMap((part): BriefLine[] => {
      const within = (chars: number): string => quotation(linesWithin(part, chars));
      const text = quotation(allottedLines.get(part) ?? []);
      return text === "" ? [] : [Object.assign({ text, rank: part.rank, within }, bound)];
    });
    return headed(`of ${from}, as written, without code:`, lines);
  }
  const worth = worthOf(state);
  const said = new Passages(prompts.flatMap((one) => (one.at > at ? [one.text] : [])).join("\n"));
  const quoted = new Passages(prompts.map(({ text }) => text).join("\n"));
  const items = itemsOf(parts).filter(({ title, text }) => !(promptParts.test(title) ? quoted : said).has(text));
  const shown = ranksOf(items, worth, state, scale);
  const most = isLimited ? worth.most : undefined;
  const titles = new Set<string>();
  const lines = items.flatMap((item): BriefLine[] => {
    const rank = shown.get(item);
    if (rank === undefined) return [];
    const { title, isAhead, isFound } = item;
    const about = title === "" || titles.has(title) || !(isAhead || isFound) ? "" : `${oneLine(title, 60)}: `;
    titles.add(title);
    return [{ text: `- ${about}${item.text}`, rank, ...(most === undefined ? {} : { most }) }];
  });
  return headed(`of ${from} (prompts since then: ${later}):`, lines);
}

/** A summary without a prompt since, with its code where there is room; null: there is none. */
export function wholeSummary(state: WorkState, chars: number): string | null {
  const { compactSummary } = state;
  if (compactSummary === null || laterPrompts(state) > 0) return null;
  const { parts } = splitUp(compactSummary, [], new Set());
  const whole = parts.flatMap(({ heading, lines }) => (heading === "" ? lines : [heading, ...lines]));
  if (sizeOf(whole) <= chars) return quotation(whole);
  const written = writtenParts(state, parts);
  const within = allotted(written, chars);
  return quotation(written.flatMap((part) => within.get(part) ?? []));
}

function quotation(lines: readonly string[]): string {
  return lines.map((line) => `> ${sanitize(line)}`).join("\n");
}

/** A part as it was written, without its code and without prompts that the brief has. */
interface WrittenPart {
  readonly rank: number;
  readonly title: string;
  readonly sections: readonly (readonly string[])[];
}

function writtenParts({ prompts }: WorkState, parts: readonly Part[]): WrittenPart[] {
  const { ranks } = freshWorth;
  const quoted = new Passages(prompts.map(({ text }) => text).join("\n"));
  // The first part with a heading says what the user wants.
  const first = Math.max(
    0,
    parts.findIndex(({ heading }) => heading !== ""),
  );
  return parts.flatMap(({ heading, lines }, number) => {
    const [title = "", ...below] = heading === "" ? lines : [heading, ...lines];
    const isOfUser = promptParts.test(title);
    const isAsked = number === first || isOfUser;
    const about = fileParts.test(title) ? ranks.files : ranks.text;
    const rest = isAsked ? ranks.asked : found.test(title) ? ranks.found : about;
    const rank = (ahead.test(title) ? ranks.ahead : rest) + number / 1_000;
    const said = withoutCode(below).filter((line) => !isOfUser || !quoted.has(unlisted(line)));
    // A heading alone says nothing.
    return said.length === 0 && below.length > 0
      ? []
      : [{ rank, title: plain(title), sections: sectionsOf(dedented(said).map(plain)) }];
  });
}

/** Lines of each part for which there is room, its title first; parts of most worth come first. */
function allotted(parts: readonly WrittenPart[], chars: number): ReadonlyMap<WrittenPart, readonly string[]> {
  let left = chars;
  const written = new Map<WrittenPart, readonly string[]>();
  for (const part of parts.toSorted((one, two) => one.rank - two.rank)) {
    const lines = linesWithin(part, left);
    left -= sizeOf(lines);
    written.set(part, lines);
  }
  return written;
}

/** Without the indentation that all of them have. */
function dedented(lines: readonly string[]): string[] {
  const indent = Math.min(...lines.map(indentOf));
  return lines.map((line) => line.slice(indent));
}

const bold = /(?<![\w/*])\*\*(?=[^\s*/])([^*\n]+)\*\*(?![\w/*])/g;

/** Without what makes words bold. */
function plain(line: string): string {
  return line.replaceAll(bold, "$1");
}

function sizeOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length + "> \n".length, 0);
}

function linesWithin({ rank, title, sections }: WrittenPart, chars: number): string[] {
  let left = chars;
  const fits = (lines: readonly string[]): boolean => {
    const size = sizeOf(lines);
    if (size > left) return false;
    left -= size;
    return true;
  };
  // A problem without what came of it says something else: short sections are whole, or not there.
  const taken = (section: readonly string[]): readonly string[] => {
    const lines = section.map(shortened);
    const [start = "", ...below] = lines;
    if (fits(lines)) return lines;
    if (sizeOf(lines) <= wholeChars || below.length === 0 || !fits([start])) return [];
    const kept = sectionsOf(below).flatMap(taken);
    return kept.length === 0 ? [] : [start, ...kept];
  };
  if (!fits([title])) return [];
  // The newest of all that was found, or asked, stands last.
  const isNewestLast = rank >= freshWorth.ranks.found && rank < freshWorth.ranks.files;
  const inTurn = isNewestLast ? sections.toReversed() : sections;
  const groups = inTurn.map(taken);
  const kept = (isNewestLast ? groups.toReversed() : groups).flat();
  return kept.length === 0 && sections.length > 0 ? [] : [title, ...kept];
}

function shortened(line: string): string {
  return line.length > longestLine ? " ".repeat(indentOf(line)) + excerpt(line, longestLine) : line.trimEnd();
}

/** Ranks of the items that are worth most, as many as there is room for. */
function ranksOf(
  items: readonly SummaryItem[],
  worth: Worth,
  { editedSince = [] }: WorkState,
  scale: number,
): ReadonlyMap<SummaryItem, number> {
  const names = editedSince.map(nameOf);
  // The more the user has asked since, the less says what was found until then.
  const age = worths.indexOf(worth) + 1;
  const orderOf = ({ title, text, isAhead, isFound, worth: own }: SummaryItem): number => {
    if (names.some((name) => text.includes(name))) return 3;
    // A prompt since then says what is next, but not what is still to do.
    if (isAhead && passing.test(`${title}: ${text}`)) return 3;
    const order = own > 0 ? 1 : 2;
    return isAhead || isFound ? Math.min(age, order) : order;
  };
  const ordered = items.map((item) => ({ item, order: orderOf(item) }));
  const ranks = new Map<SummaryItem, number>();
  let chars = 0;
  for (const { item, order } of ordered.toSorted((a, b) => a.order - b.order || b.item.worth - a.item.worth)) {
    chars += item.text.length;
    if (chars > worth.chars * scale && ranks.size > 0) break;
    const isEarly = order < 3 && chars <= worth.early.chars;
    const rank = isEarly ? worth.early.rank : [worth.named, worth.named, worth.other, staleRank][order];
    ranks.set(item, (rank ?? staleRank) + ranks.size / 1_000);
  }
  return ranks;
}

function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

interface SummaryItem {
  /** Heading of its part; "": none. */
  readonly title: string;
  readonly text: string;
  readonly isAhead: boolean;
  /** Under a heading of what was found out or decided. */
  readonly isFound: boolean;
  /** Names of the work that no item before it has, by its length. */
  readonly worth: number;
}

interface Part {
  readonly heading: string;
  readonly lines: readonly string[];
}

/**
 * Its parts, without what it says of single files, which is by the path.
 *
 * @param stale what it says of these stays in its part
 */
function splitUp(
  summary: string,
  paths: readonly string[],
  stale: ReadonlySet<string>,
): { readonly parts: readonly Part[]; readonly files: Map<string, string> } {
  const files = new Map<string, string>();
  const isOfFile = ([first = "", ...below]: readonly string[]): boolean => {
    const path = fileOf(first, paths);
    const said = [first.replace(pathAtStart, ""), ...withoutCode(below).map(unlisted)].filter((line) => line !== "");
    if (path === undefined || stale.has(path) || said.length === 0 || files.has(path)) return false;
    files.set(path, said.join("; "));
    return true;
  };
  const parts = partsOf(summary).flatMap((all): Part[] => {
    const [first = "", ...below] = all;
    const hasHeading = below.length > 0 && fileOf(first, paths) === undefined;
    const sections = hasHeading ? sectionsOf(below) : [all];
    const lines = sections.filter((section) => !isOfFile(section)).flat();
    return lines.length === 0 ? [] : [{ heading: hasHeading ? first : "", lines }];
  });
  return { parts, files };
}

/** Lines of each part that are not blank, its heading first. */
function partsOf(summary: string): string[][] {
  const lines = neutralize(summary)
    .split("\n")
    .filter((line) => line.trim() !== "");
  const first = lines.find((line) => partStarts.some((one) => one.test(line))) ?? "";
  const start = partStarts.find((one) => one.test(first));
  // A list within a part may be numbered, too: deeper, or without lines that announce others.
  const indent = start?.exec(first)?.groups?.["indent"];
  const announces = indent !== undefined && first.trimEnd().endsWith(":");
  const isStart = (line: string): boolean => {
    const found = start?.exec(line);
    return found !== null && found?.groups?.["indent"] === indent && (!announces || line.trimEnd().endsWith(":"));
  };
  const parts: string[][] = [[]];
  for (const line of lines) {
    if (isStart(line)) parts.push([]);
    parts.at(-1)?.push(line);
  }
  return parts;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

const listed = /^\s*(?:[-*•]|\d{1,3}[.)])\s/;

/** A line with those that are indented deeper, and with the list that it announces; code is not. */
function sectionsOf(lines: readonly string[]): string[][] {
  const sections: string[][] = [];
  let depth = 0;
  for (const line of lines) {
    const indent = indentOf(line);
    const last = sections.at(-1);
    const [start = ""] = last ?? [];
    const isAnnounced = !listed.test(start) && start.trimEnd().endsWith(":") && listed.test(line);
    if (last && (indent > depth || (isAnnounced && indent === depth))) last.push(line);
    else {
      sections.push([line]);
      depth = indent;
    }
  }
  return sections;
}

/** With "(modified):" and the like behind it. */
const pathAtStart =
  /^\s*(?:[-*•]\s+|\d{1,3}\.\s+|#{1,4}\s+)?[*'"`]{0,4}(?<path>[\w@./~-]{0,200}[\w-]\.\w{1,8})\b[*'"`]{0,4}\s*(?:\([^()\n]{0,60}\))?[*'"`]{0,4}\s*(?:[:—–-]\s*)?/;

/** The only one of the paths that a line begins with, or the end of it. */
function fileOf(line: string, paths: readonly string[]): string | undefined {
  const named = pathAtStart.exec(line)?.groups?.["path"];
  if (named === undefined) return undefined;
  const [only, ...others] = paths.filter((path) => path === named || path.endsWith(`/${named}`));
  return others.length === 0 ? only : undefined;
}

function unlisted(line: string): string {
  return line.replace(/^\s*(?:[-*•]\s+)?/, "");
}

/** Items of its parts, in their order. */
function itemsOf(parts: readonly Part[]): SummaryItem[] {
  const known = new Set<string>();
  return parts.flatMap(({ heading, lines }) => {
    const title = heading.replaceAll(/^[\s#*\d.]+|[\s*:]+$|\*\*/g, "");
    const isAhead = ahead.test(heading === "" ? (lines[0] ?? "") : heading);
    const isFound = found.test(title) || promptParts.test(title);
    return grouped(withoutCode(lines)).flatMap((group): SummaryItem[] => {
      const text = excerpt(unlisted(group.join("\n")), itemChars);
      if (!says.test(text)) return [];
      const names = (text.match(workName) ?? []).filter((name) => !known.has(name));
      for (const name of names) known.add(name);
      return [{ title, text, isAhead, isFound, worth: names.length / (itemChars / 10 + text.length) }];
    });
  });
}

/** The first line of code that a line announces stays; the rest is in the files. */
function withoutCode(lines: readonly string[]): string[] {
  let isCode = false;
  return lines.flatMap((line, index) => {
    const isFence = fence.test(line);
    if (isFence) isCode = !isCode;
    const [before = "", announcing = ""] = [lines[index - 1], lines[index - 2]];
    if (isFence || (isCode && !(fence.test(before) && announcing.trimEnd().endsWith(":")))) return [];
    return isCode && !fence.test(lines[index + 1] ?? "") ? [`${line} …`] : [line];
  });
}

/** A line with those that are indented deeper, or that it announces, as far as they are short. */
function grouped(lines: readonly string[]): string[][] {
  const groups: string[][] = [];
  let [depth, chars] = [0, 0];
  for (const line of lines) {
    const indent = indentOf(line);
    const last = groups.at(-1);
    const isAnnounced = last?.at(-1)?.trimEnd().endsWith(":") === true;
    if (last && (indent > depth || isAnnounced) && chars + line.length < itemChars) {
      last.push(line);
      chars += line.length;
    } else {
      groups.push([line]);
      // The rest of a long group stays below its first line.
      if (!last || indent <= depth) depth = indent;
      chars = line.length;
    }
  }
  return groups;
}

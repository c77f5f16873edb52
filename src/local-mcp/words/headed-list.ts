import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure: lists whose heading makes rules or decisions of their items. */

export interface HeadedList {
  readonly heading: string;
  readonly items: readonly string[];
}

const item = /^\s*(?:[-*•–+]|\d+[.)])\s+(?=\S)/;
const headingEnd = /[:：][*_\s]*$/;

const rules = new LazyRegExp(
  pattern`
    ^(?!.*(?<!\p{L})(?:done|broken|add|write|fix|implement)(?!\p{L})).{0,60}(?<!\p{L})(?:rules?|constraints?|
    conventions?|guidelines?|guard ?rails|limits|no-?gos?|do(?:['’]?s)? (?:and|&) don['’]?ts|regeln|
    vorgaben|règles|contraintes|reglas|restricciones|regole|vincoli|zasady|regras|regels|правила)(?!\p{L})|
    規則|ルール|规则|규칙
  `,
  "iu",
);
const decisions = new LazyRegExp(
  pattern`
    ^.{0,60}(?<!\p{L})(?:decisions?|decided|agreed|settled|entscheidungen|entschieden|beschlossen|décisions|
    décidé|decisiones|decidido|decisioni|deciso|decyzje|ustalenia|decisões|besluiten|решения)(?!\p{L})|
    決定|决定|결정
  `,
  "iu",
);

export function isRulesHeading(heading: string): boolean {
  return rules.test(heading) && !decisions.test(heading);
}

/** "Decisions still open:" announces none. */
export function isDecisionsHeading(heading: string): boolean {
  return (
    decisions.test(heading) &&
    !/(?<!\p{L})(?:open|pending|not|undecided|offen|ouvertes|abiertas)(?!\p{L})/iu.test(heading)
  );
}

/** Separates the lists whose heading `isWanted` from the other lines. */
export function splitLists(
  text: string,
  isWanted: (heading: string) => boolean,
): { readonly lists: readonly HeadedList[]; readonly rest: string } {
  const lists: HeadedList[] = [];
  const rest: string[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const heading = line.replaceAll(/[#*_]/g, "").trim();
    const below = headingEnd.test(line) && isWanted(heading) ? itemsFrom(lines, at + 1) : [];
    if (below.length === 0) rest.push(line);
    else lists.push({ heading, items: below.filter((one) => one !== "") });
    at += below.length;
  }
  return { lists, rest: rest.join("\n") };
}

/** The items of a list that begins at this line, with "" for its empty lines. */
function itemsFrom(lines: readonly string[], from: number): string[] {
  if (!item.test(lines[from] ?? "")) return [];
  const after = lines.slice(from);
  const end = after.findIndex((line) => line.trim() !== "" && !item.test(line));
  return (end < 0 ? after : after.slice(0, end)).map((line) => line.replace(item, "").trim());
}

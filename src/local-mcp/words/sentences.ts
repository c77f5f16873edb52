import { isSpokenByRole } from "./neutralize.ts";
import { isPastedLine } from "./pasted-text.ts";
import { LazyRegExp } from "./pattern.ts";

/** Pure. */

/** Table cells may precede a sentence where line ends were lost. */
const cells = /^\s*(?:\|[^|]*(?=\|))+\|\s*/;
const abbreviated = String.raw`(?<!\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|bzw|ca|nr|mr|mrs|dr|z\.\s?b|p\.\s?ej|par ex)\.)`;
const sentenceEnd = new LazyRegExp(String.raw`\n+|(?<=[.!?…]["')\]*]{0,3})${abbreviated}\s+|(?<=[。！？])`, "iu");
/** A capital on a word that has none within a sentence. */
const lostEnd = new LazyRegExp(
  String.raw`(?<=[\p{Ll}\p{N})]) (?=(?:You|We|Please|Never|Always|Don['’]t|Do not|Nothing|Nobody|Every|Each|Also|From now on|Under no|Make sure|Keep|Avoid|Only|Whatever|Absolutely) \p{Ll})`,
  "gu",
);
const listMarks = /^[^\S\n]*(?:[-*•–+#]+|\d+[.)])\s+/gm;

/** Code is data, not speech. */
export function withoutCode(text: string): string {
  return text.replaceAll(/```[\s\S]*?(?:```|$)/g, " [code] ");
}

const placeholder = /^\[(?:code|cut, \d+ more characters)\]$/;

/** The patterns that read a sentence take their time from its length. */
const limits = { chars: 400, first: 200, last: 100 };

const sentenceAfterLog = new LazyRegExp(String.raw`(?<=[\p{Ll}\p{N})] )\p{Lu}\p{Ll}+ \p{Ll}[^\n]*[.!?。！？]$`, "u");

const logLine = /^\s*\[?(?:\d{4}-\d\d-\d\d[ T]\d|\d\d:\d\d:\d\d)/;

const nextEntry = /(?=\[?\d{4}-\d\d-\d\d[ T]\d)/;

function withoutLog(text: string): string[] {
  const start = text.slice(0, limits.chars);
  if (!isPastedLine(start)) return [text];
  return logLine.test(start)
    ? start.split(nextEntry).flatMap((entry) => sentenceAfterLog.exec(entry.trim()) ?? [])
    : [];
}

export function sentences(text: string): string[] {
  const written = withoutCode(text)
    .split("\n")
    .filter((line) => !isSpokenByRole(line))
    .flatMap((line) => (line.length > limits.chars ? [line] : withoutLog(line)))
    .join("\n");
  return written
    .replaceAll(listMarks, "")
    .replace(lostEnd, "\n")
    .split(sentenceEnd)
    .flatMap(withoutLog)
    .filter((_, at, all) => at < limits.first || at >= all.length - limits.last)
    .map((sentence) =>
      sentence.slice(0, limits.chars).replace(cells, "").replaceAll(listMarks, "").replaceAll(/\s+/g, " ").trim(),
    )
    .filter((sentence) => !placeholder.test(sentence) && /[\p{L}\p{N}]/u.test(sentence));
}

/** Reads at most 400 characters: a sentence. */
const clauseEnd = /[,;:]\s+|\s+[–—-]\s+|\s+(?:and|but|so|then|und|aber|et|mais|pero|ma|mas|maar|но|а)\s+|[，；、：]/iu;

export function clauses(sentence: string): string[] {
  return sentence.split(clauseEnd).map((clause) => clause.trim());
}

/** "..., ok?" asks for nothing. */
const tag =
  /[,–-]\s*(?:ok|okay|right|alright|all right|please|deal|agreed|clear|got it|understood|ja|oder|d'accord|vale|va bene|ok)\?$/iu;

export function isQuestion(sentence: string): boolean {
  return /[?？]["')\]]*$/.test(sentence) && !tag.test(sentence);
}

const stopWords = new Set(
  `a an the this that these those it its he she they them their we us our you your i me my mine one ones there here
   and or but so then than if when while as of in on at to for from by with into onto over under about after before up down out off
   is are was were be been being am do does did done have has had having will would shall should can could may might must
   not no nor never always only just also too very really still yet again now today already soon all any some each every both either neither more most
   actually instead rather anymore longer back else ever please ok okay yes yeah let lets use used using uses go going goes went gone get got make made making
   keep kept want need needs like prefer think remember sure don't doesn't won't can't isn't it's that's let's i'll we'll we're i'm you're
   what switch switched switching move moved migrate replace replaced drop dropped revert reverted undo scrap forget cancel which who how why where plan change changed mind decided decision choose chose thing things stuff way time from-now-on henceforth
   next step first last new old other same such because since due via per
   der die das den dem des ein eine einen einem einer und oder aber mit von zu zum zur im am auf fuer für ist sind war nicht kein keine keinen immer nie niemals nur bitte doch statt
   le la les un une des du de et ou mais avec pour dans sur est sont ne pas jamais toujours plus que qui au aux
   el los las una unos unas y o pero con por para en es son no nunca siempre solo se lo al del que`
    .split(/\s+/)
    .map((word) => word.trim()),
);

const word = new LazyRegExp(String.raw`[\p{L}\p{N}][\p{L}\p{N}_./@#+'’-]*`, "gu");
const unspaced = new LazyRegExp(
  String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]`,
  "u",
);

/** False for two characters of a script that writes no spaces. */
export function isWholeWord(one: string): boolean {
  return !unspaced.test(one);
}

/** Removes inflection and stop words. */
export function contentWords(text: string): Set<string> {
  const found = new Set<string>();
  for (const [raw] of word.matchAll(text.toLowerCase())) {
    const plain = raw.replace(/(?<![./'’@#-])[./'’@#-]+$/u, "");
    if (unspaced.test(plain)) for (let at = 0; at < plain.length - 1; at++) found.add(plain.slice(at, at + 2));
    else if (plain.length > 0 && !stopWords.has(plain)) found.add(stem(plain));
  }
  return found;
}

function stem(plain: string): string {
  if (plain.length < 5 || /[\d./_@]/.test(plain)) return plain;
  const base = plain.replace(/(?:ing|ed|es|s)$/, "");
  return base.length < 3 ? plain : base.replace(/(.)\1$/, "$1").replace(/e$/, "");
}

/** Share of `part` in `whole`, 0 to 1; 0 where `part` is empty. */
export function coverage(part: ReadonlySet<string>, whole: ReadonlySet<string>): number {
  return part.size === 0 ? 0 : [...part].filter((one) => whole.has(one)).length / part.size;
}

/** The shorter text is mostly in the longer. */
export function isAboutTheSame(one: string, other: string, minShare = 0.6): boolean {
  const [a, b] = [contentWords(one), contentWords(other)];
  const [shorter, longer] = a.size <= b.size ? [a, b] : [b, a];
  const isIn = (word: string): boolean =>
    longer.has(word) ||
    [...longer].some((one) => Math.min(one.length, word.length) >= 4 && (one.startsWith(word) || word.startsWith(one)));
  const shared = shorter.size === 0 ? 0 : [...shorter].filter(isIn).length / shorter.size;
  return shared >= minShare && (shared * shorter.size >= 2 || shorter.size === longer.size);
}

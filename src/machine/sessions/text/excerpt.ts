import { oneLine } from "../../../shared/format.ts";

/** Pure. Shortens a text to whole sentences of it, in their order; labels and rewords nothing. */

/** Ranks sentences of a long prompt: limits are lost most easily, and cost most. */
const prohibition =
  /(?<!\p{L})(?:do not|don['’]t|never|must(?:n['’]t| not)|only if|except|unless|without|not allowed|nicht|niemals|kein\p{L}{0,2}|nie|nur wenn|ne pas|jamais|sauf|nunca|jamás|sólo si|solo si|não|mai|non devi|nooit|niet|nigdy|nie wolno|никогда|нельзя|не надо)(?!\p{L})|ないで(?![すしあ])|ない(?:こと|ように)|禁止|だけ|ではなく|不要|不得|禁止|切勿|只能|하지 ?마|말고|금지|않도록/iu;

/** Ranks prompts that only let the work go on. It reads at most 40 characters: see `isNod`. */
const nod =
  /^(?:y|yes|yep|yeah|ok|okay|sure|go|go ahead|go on|continue|proceed|carry on|do it|please do|please continue|next|lgtm|[a-z]{4,5}s good|great|good|nice|perfect|thanks|thank you|ja|weiter|mach weiter|genau|passt|gut|danke|oui|vas-y|merci|sí|si|sigue|gracias|sim|continua|はい|お願いします|続けて(?:ください)?|ありがとう(?:ございます)?|好|好的|继续|可以|네|계속|응)[\s.!,。！、]*(?:please|thanks|thank you|bitte)?[\s.!。！]*$/iu;

const maxNodChars = 40;

/** A prompt that adds nothing once it is old. It may rank a prompt, never decide what it means. */
export function isNod(prompt: string): boolean {
  const text = prompt.trim();
  return text.length <= maxNodChars && nod.test(text);
}

/** Lines of a block beyond which it is named, not quoted. */
const maxPastedLines = 3;

const fence = "```";

/** Replaces long blocks by their size: code fences, and runs of quoted lines. */
export function withoutPasted(text: string): string {
  const parts = text.split(fence);
  return parts
    .map((part, at) => (at % 2 === 1 ? codeBlock(part, at < parts.length - 1) : withoutQuoted(part)))
    .join("");
}

/** @param code after its opening fence, with the name of its language */
function codeBlock(code: string, isClosed: boolean): string {
  const lines = code.split("\n").length - (isClosed ? 2 : 1);
  return pastedNote(lines) ?? `${fence}${code}${isClosed ? fence : ""}`;
}

/** Lines of a quotation; lines that begin as JSON, log entries or frames of a stack do. */
const pastedLines = [
  /(?:^>.*(?:\n|$)){4,}/gm,
  /(?:^[ \t]{0,20}(?:[{}[\]"]|\d{4}-\d\d-\d\d[T ]|\d\d:\d\d:\d\d|at \S).*(?:\n|$)){4,}/gm,
];

function withoutQuoted(text: string): string {
  return pastedLines.reduce((rest, pattern) => rest.replaceAll(pattern, noteOf), text);
}

function noteOf(block: string): string {
  const note = pastedNote(block.trimEnd().split("\n").length);
  return note === null ? block : `${note}\n`;
}

function pastedNote(lines: number): string | null {
  return lines > maxPastedLines ? `[${lines} lines left out]` : null;
}

/** A text that begins with a block, and says little after it. */
const blockAlone = /^\[\d+ lines left out\].{0,60}$/;
const leastBeginning = 60;

/** A line, or a part of one that ends like a sentence. The number of a list's item ends none. */
const sentenceEnd = /\n+|(?<=[.!?…]["')\]]?)(?<!(?:^|\n)[ \t]{0,8}\d{1,3}\.)\s+|(?<=[。！？])/;
const maxSentences = 2_000;

function sentencesOf(text: string): string[] {
  const all = text.split(sentenceEnd).map((one) => oneLine(one));
  const named = all.filter((one) => one !== "");
  return named.length <= maxSentences
    ? named
    : [...named.slice(0, maxSentences / 2), ...named.slice(-maxSentences / 2)];
}

/** Shorter excerpts would be fragments of sentences: they are the beginning of the text. */
const leastExcerpt = 160;
const gap = " … ";
/** Shares of the room: first and last sentence, beginning of a request and of an answer. */
const share = { first: 0.5, last: 0.35, request: 0.35, answer: 0.5 };

/** Characters of a request's beginning: a title and what comes right after it. */
const maxBeginning = 300;

/**
 * At most `max` characters of a text, on one line: without pasted blocks where the text is too
 * long, then its beginning and its last sentence, sentences with a prohibition, and the rest from
 * both ends. Left-out parts are marked by "…".
 */
export function excerpt(text: string, max: number): string {
  const plain = oneLine(text);
  if (plain.length <= max) return plain;
  const own = withoutPasted(text);
  const short = oneLine(own);
  // Beside few words a block is known by its beginning.
  const room = max - short.length - 1;
  if (blockAlone.test(short) && room >= leastBeginning) return `${cut(plain, room)} ${short}`;
  if (short.length <= max) return short;
  return max < leastExcerpt ? cut(short, max) : chosenSentences(sentencesOf(own), max);
}

function chosenSentences(all: readonly string[], max: number): string {
  const last = all.length - 1;
  const kept = new Map<number, string>();
  let left = max;
  const keep = (index: number, most: number): void => {
    const sentence = all[index];
    if (sentence === undefined || kept.has(index)) return;
    const limit = Math.min(most, left);
    // Half a sentence may say the opposite of the whole.
    if (sentence.length > limit && index !== 0 && index !== last) return;
    const shown = cut(sentence, limit);
    if (shown === "") return;
    kept.set(index, shown);
    left -= shown.length + gap.length;
  };
  keep(0, last === 0 ? max : Math.floor(max * share.first));
  if (last > 0) keep(last, Math.floor(max * share.last));
  // A title alone does not say what is wanted.
  const beginning = Math.min(maxBeginning, max * share.request);
  for (let used = kept.get(0)?.length ?? 0, index = 1; used < beginning && index < last; index++) {
    keep(index, left);
    used += all[index]?.length ?? 0;
  }
  for (const [index, sentence] of all.entries()) if (prohibition.test(sentence.slice(0, 400))) keep(index, left);
  for (let step = 1; step <= last / 2; step++) {
    keep(step, left);
    keep(last - step, left);
  }
  return joined(all, kept);
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const short = text.slice(0, Math.max(0, max - 2));
  const space = short.lastIndexOf(" ");
  // Scripts without spaces are cut anywhere.
  const whole = space > short.length * 0.6 ? short.slice(0, space) : short;
  return whole === "" ? "" : `${whole.replace(/[\uD800-\uDBFF]$/, "")} …`;
}

function joined(all: readonly string[], kept: ReadonlyMap<number, string>): string {
  let text = "";
  let before = -1;
  for (const index of [...kept.keys()].toSorted((a, b) => a - b)) {
    const isNext = index === before + 1;
    const separator = text === "" ? (isNext ? "" : "… ") : isNext || text.endsWith("…") ? " " : gap;
    text += `${separator}${kept.get(index) ?? ""}`;
    before = index;
  }
  return before < all.length - 1 && !text.endsWith("…") ? `${text} …` : text;
}

/** Share of a text below which its sentences say too little without its blocks. */
const leastOwn = 0.25;

/** Without its blocks where a text is too long, unless it has little else. */
function quotable(text: string, max: number): string {
  const whole = oneLine(text);
  if (whole.length <= max) return whole;
  const own = oneLine(withoutPasted(text));
  return own.length < whole.length * leastOwn ? whole : own;
}

/** The beginning and, mostly, the end of a text: an answer says first what it found. */
export function bothEnds(text: string, max: number): string {
  const plain = quotable(text, max);
  if (plain.length <= max) return plain;
  let first = "";
  for (const one of sentencesOf(plain)) {
    if (first.length + one.length + 1 > max * share.answer) break;
    first = first === "" ? one : `${first} ${one}`;
  }
  if (first === "") return tail(plain, max);
  const last = tail(plain.slice(first.length), max - first.length - 1);
  // A text that was shortened before has a mark there already.
  return `${first} ${first.endsWith("…") && last.startsWith("…") ? last.slice(1).trimStart() : last}`;
}

/** The end of a text, from the beginning of a sentence where one fits. */
export function tail(text: string, max: number): string {
  const plain = quotable(text, max);
  if (plain.length <= max) return plain;
  const all = sentencesOf(plain);
  let kept = "";
  for (const one of all.toReversed()) {
    if (one.length + kept.length + 1 > max - 2) break;
    kept = kept === "" ? one : `${one} ${kept}`;
  }
  return `… ${kept === "" ? plain.slice(-(max - 2)).replace(/^[\uDC00-\uDFFF]/, "") : kept}`;
}

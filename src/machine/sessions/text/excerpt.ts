import { oneLine } from "../../../shared/format.ts";

/** Pure. Shortens a text to whole sentences of it, in their order; labels and rewords nothing. */

/** Ranks sentences of a long prompt: limits are lost most easily, and cost most. */
const prohibition =
  /(?<!\p{L})(?:do not|don['’]t|never|must(?:n['’]t| not)|only if|except|unless|without|not allowed|instead of|rather than|avoid|nicht|statt|niemals|kein\p{L}{0,2}|nie|nur wenn|ne pas|jamais|sauf|au lieu d[eu]|évite[rz]?|nunca|jamás|sólo si|solo si|en (?:lugar|vez) de|evita|não|mai|non devi|nooit|niet|nigdy|nie wolno|никогда|нельзя|не надо)(?!\p{L})|ないで(?![すしあ])|ない(?:こと|ように)|禁止|だけ|ではなく|不要|不得|禁止|切勿|只能|하지 ?마|말고|금지|않도록/iu;

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

/** Marks of a block, in a text as it was written, and in a neutralized one. */
const fences = ["```", "'''"];

/** Replaces long blocks by their size: code fences, and runs of quoted lines. */
export function withoutPasted(text: string): string {
  const fence = fences.find((one) => text.includes(one)) ?? "```";
  const parts = text.split(fence);
  return parts
    .map((part, at) => (at % 2 === 1 ? codeBlock(part, at < parts.length - 1, fence) : withoutQuoted(part)))
    .join("");
}

/** @param code after its opening fence, with the name of its language */
function codeBlock(code: string, isClosed: boolean, fence: string): string {
  const lines = code.split("\n").length - (isClosed ? 2 : 1);
  return pastedNote(lines) ?? `${fence}${code}${isClosed ? fence : ""}`;
}

/** Quotations that are not right below a heading; lines like those of JSON, a log or a stack. */
const pastedLines = [
  /(?<!^>.*\n)(?<!^#{1,6} .{1,200}\n{1,2})(?:^>.*(?:\n|$)){4,}/gm,
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
/** A shorter end of a line says too little of it. */
const leastEnd = 30;

/** A line, or a part of one that ends like a sentence. The number of a list's item ends none. */
const sentenceEnd = /(?<=[.!?…]["')\]]?)(?<!^[ \t]{0,8}\d{1,3}\.)\s+|(?<=[。！？])/;
const maxParts = 2_000;

/** A sentence, or a line of a list or table. */
interface Part {
  readonly text: string;
  /** Heading or item of a list that binds. */
  readonly binds: boolean;
}

/** Lists below such a heading hold what was settled: without its middle a list is another one. */
const binding =
  /(?<!\p{L})(?:decisi|decided|design|rules?(?!\p{L})|must|requirement|constraint|entscheid|entwurf|regeln?(?!\p{L})|muss|müss|décisi|décid|concepti|règles?|doit|doiv|diseño|reglas?(?!\p{L})|debe|progett|regol|dev(?:e|ono)(?!\p{L})|besluit|ontwerp|moet|decyzj|projekt|zasad|musi(?!\p{L})|решени|дизайн|правил|должн)|決定|設計|規則|ルール|必須|决定|设计|规则|必须|결정|설계|규칙|필수/iu;
const heading = /^[ \t]{0,8}(?:#{1,6} .{1,200}|\*\*[^*]{2,120}\*\*[:：]?|.{2,120}[:：]\**)[ \t]*$/;
const item = /^(?:[ \t]{0,12}(?:[-*+•|]|\d{1,3}[.)])|[ \t]{2,})/;

function partsOf(text: string): Part[] {
  let isBinding = false;
  const all = text.split("\n").flatMap((line): Part[] => {
    if (line.trim() === "") return [];
    if (heading.test(line)) isBinding = binding.test(line);
    else if (!item.test(line)) isBinding = false;
    const sentences = line.split(sentenceEnd).map((one) => oneLine(one));
    return sentences.flatMap((one) => (one === "" ? [] : [{ text: one, binds: isBinding }]));
  });
  return all.length <= maxParts ? all : [...all.slice(0, maxParts / 2), ...all.slice(-maxParts / 2)];
}

/** Shorter excerpts would be fragments of sentences: they are the beginning of the text. */
const leastExcerpt = 160;
const gap = " … ";
/** Shares of the room: first and last sentence, beginnings of requests and answers, what binds. */
const share = { first: 0.5, last: 0.35, request: 0.35, answer: 0.5, binding: 0.8 };

/** Characters of a request's beginning: a title and what comes right after it. */
const maxBeginning = 300;

/**
 * At most `max` characters of a text, on one line: without pasted blocks where the text is too
 * long, then its beginning and its last sentence, lists that bind, sentences with a prohibition,
 * and the rest from both ends. Left-out parts are marked by "…".
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
  return max < leastExcerpt ? cut(short, max) : chosenSentences(partsOf(own), max);
}

function chosenSentences(parts: readonly Part[], max: number): string {
  const last = parts.length - 1;
  const choice = new Choice(parts, max);
  choice.keep(0, last === 0 ? max : Math.floor(max * share.first));
  if (last > 0) choice.keep(last, Math.floor(max * share.last));
  // A title alone does not say what is wanted.
  const beginning = Math.min(maxBeginning, max * share.request);
  for (let used = Math.min(parts[0]?.text.length ?? 0, max), index = 1; used < beginning && index < last; index++) {
    choice.keep(index);
    used += parts[index]?.text.length ?? 0;
  }
  choice.keepBinding();
  const forbidding = [...parts.keys()].filter((index) => prohibition.test(parts[index]?.text.slice(0, 400) ?? ""));
  // The last of them bind no less than the first.
  for (let step = 0; step < forbidding.length / 2; step++) {
    choice.keep(forbidding[step] ?? 0);
    choice.keep(forbidding.at(-1 - step) ?? last);
  }
  for (let step = 1; step <= last / 2; step++) {
    choice.keep(step);
    choice.keep(last - step);
  }
  return choice.text();
}

/** Parts of a text that fit into so many characters. */
class Choice {
  readonly #parts: readonly Part[];
  readonly #max: number;
  readonly #kept = new Map<number, string>();
  /** Characters of the kept parts, each with a blank. */
  #used = 0;
  /** Kept parts that follow no kept one: marks of omission stand around each. */
  #runs = 0;

  constructor(parts: readonly Part[], max: number) {
    this.#parts = parts;
    this.#max = max;
  }

  /** @returns whether the part is kept: of the first and the last one at least the beginning */
  keep(index: number, most = Infinity): boolean {
    const part = this.#parts[index];
    if (part === undefined || this.#kept.has(index)) return part !== undefined;
    const limit = Math.min(most, this.#roomAt(index));
    // Half a sentence may say the opposite of the whole.
    if (part.text.length > limit && index !== 0 && index !== this.#parts.length - 1) return false;
    return this.#put(index, cut(part.text, limit));
  }

  hasRoom(index: number): boolean {
    return this.#kept.has(index) || (this.#parts[index]?.text.length ?? 0) <= this.#roomAt(index);
  }

  /** Keeps the end of a part. */
  keepEnd(index: number): void {
    const { text } = this.#parts[index] ?? { text: "" };
    const room = this.#roomAt(index);
    if (!this.#kept.has(index) && room >= leastEnd) this.#put(index, endOf(text, room));
  }

  /** Keeps lists that bind from their beginnings on: none lacks its middle. */
  keepBinding(most = Infinity): void {
    let left = most;
    for (const [index, { binds, text }] of this.#parts.entries()) {
      if (!binds) continue;
      left -= text.length + 1;
      if (left < 0 || this.#roomAt(index) < text.length) return;
      this.keep(index);
    }
  }

  text(): string {
    return joined(this.#parts.length, this.#kept);
  }

  /** Runs with the part, less those without it. */
  #newRuns(index: number): number {
    return 1 - Number(this.#kept.has(index - 1)) - Number(this.#kept.has(index + 1));
  }

  #roomAt(index: number): number {
    return this.#max - this.#used - 1 - gap.length * (this.#runs + this.#newRuns(index));
  }

  #put(index: number, shown: string): boolean {
    if (shown === "") return false;
    this.#runs += this.#newRuns(index);
    this.#used += shown.length + 1;
    this.#kept.set(index, shown);
    return true;
  }
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const short = text.slice(0, Math.max(0, max - 2));
  const space = short.lastIndexOf(" ");
  // Scripts without spaces are cut anywhere.
  const whole = space > short.length * 0.6 ? short.slice(0, space) : short;
  return whole === "" ? "" : `${whole.replace(/[\uD800-\uDBFF]$/, "")} …`;
}

function joined(count: number, kept: ReadonlyMap<number, string>): string {
  let text = "";
  let before = -1;
  for (const [index, part] of [...kept].toSorted(([a], [b]) => a - b)) {
    const isNext = index === before + 1;
    const isMarked = text.endsWith("…") || part.startsWith("…");
    const separator = text === "" ? (isNext || isMarked ? "" : "… ") : isNext || isMarked ? " " : gap;
    text += `${separator}${part}`;
    before = index;
  }
  return before < count - 1 && !text.endsWith("…") ? `${text} …` : text;
}

/** The beginning and the end of an answer, which says first what it found, and lists that bind. */
export function bothEnds(text: string, max: number): string {
  const plain = oneLine(text);
  if (plain.length <= max) return plain;
  const parts = partsOf(text);
  if (parts.length === 1) return tail(text, max);
  const choice = new Choice(parts, max);
  choice.keepBinding(max * share.binding);
  for (let index = 0, left = max * share.answer; choice.keep(index, left); index++)
    left -= (parts[index]?.text.length ?? 0) + 1;
  let last = parts.length - 1;
  while (last > 0 && choice.hasRoom(last)) choice.keep(last--);
  choice.keepEnd(last);
  return choice.text();
}

/** The end of a text, from the beginning of a sentence where one fits. */
export function tail(text: string, max: number): string {
  const plain = oneLine(text);
  if (plain.length <= max) return plain;
  let kept = "";
  for (const { text: one } of partsOf(text).toReversed()) {
    if (one.length + kept.length + 1 > max - 2) break;
    kept = kept === "" ? one : `${one} ${kept}`;
  }
  return kept === "" ? endOf(plain, max) : `… ${kept}`;
}

function endOf(text: string, max: number): string {
  return text.length <= max ? text : `… ${text.slice(-(max - 2)).replace(/^[\uDC00-\uDFFF]/, "")}`;
}

/**
 * Regular expressions whose matching takes time linear in the text, whatever they are: all ways to match are followed at once, none is tried after
 * another (K. Thompson, "Regular Expression Search Algorithm", 1968). What that cannot do, references back and looking around, is refused. Pure.
 */

/** Characters of a pattern. */
const mostChars = 1_000;
/** Steps of a compiled pattern; a repetition with a count has as many copies. */
const mostSteps = 1_000;

type Step =
  /** One code point. */
  | { readonly kind: "sign"; readonly fits: (sign: string) => boolean }
  | { readonly kind: "either"; readonly to: readonly number[] }
  | { readonly kind: "start" | "end" | "edge" | "no-edge"; readonly to: number }
  | { readonly kind: "match" };

export interface Pattern {
  readonly steps: readonly Step[];
}

type Node =
  | { readonly kind: "sign"; readonly source: string }
  | { readonly kind: "start" | "end" | "edge" | "no-edge" }
  | { readonly kind: "all" | "any"; readonly of: readonly Node[] }
  | { readonly kind: "repeat"; readonly of: Node; readonly least: number; readonly most: number };

/** @throws {Error} for what is no pattern, cannot be matched in linear time, or is too large; the message says which */
export function compile(source: string): Pattern {
  if (source.length > mostChars) throw new Error(`a pattern has at most ${mostChars} characters`);
  // Its syntax is JavaScript's own; from here on the source is known to be well-formed.
  void new RegExp(source, "u");
  const tree = new Parser(source).alternatives();
  if (sizeOf(tree) > mostSteps) {
    throw new Error(`the pattern is too large: with its repetitions written out it has more than ${mostSteps} parts`);
  }
  const steps: Step[] = [];
  emit(steps, tree);
  steps.push({ kind: "match" });
  return { steps };
}

/** Atoms with a text of their own; the first that fits. */
const atom =
  /\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\c[a-zA-Z]|\[(?:\\.|[^\]\\])*\]|\\.|./suy;
const count = /\{(\d+)(,?)(\d*)\}/y;

class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  alternatives(): Node {
    const of = [this.#sequence()];
    while (this.#takes("|")) of.push(this.#sequence());
    return { kind: "any", of };
  }

  #sequence(): Node {
    const of: Node[] = [];
    while (this.#at < this.#source.length && !this.#isNext("|") && !this.#isNext(")")) of.push(this.#repeated());
    return { kind: "all", of };
  }

  #repeated(): Node {
    const of = this.#single();
    const bounds = this.#bounds();
    if (!bounds) return of;
    // Whether it takes few or many at first makes no difference to whether there is a match.
    this.#takes("?");
    return { kind: "repeat", of, ...bounds };
  }

  #bounds(): { least: number; most: number } | null {
    if (this.#takes("*")) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (this.#takes("+")) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (this.#takes("?")) return { least: 0, most: 1 };
    count.lastIndex = this.#at;
    const found = count.exec(this.#source);
    if (!found) return null;
    this.#at = count.lastIndex;
    const least = Number(found[1]);
    const most = found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
    return { least, most: found[2] === "" ? least : most };
  }

  #single(): Node {
    if (this.#takes("^")) return { kind: "start" };
    if (this.#takes("$")) return { kind: "end" };
    if (this.#takes("(")) return this.#group();
    atom.lastIndex = this.#at;
    const [source = ""] = atom.exec(this.#source) ?? [];
    this.#at += source.length;
    if (source === "\\b") return { kind: "edge" };
    if (source === "\\B") return { kind: "no-edge" };
    if (/^\\[1-9k]/.test(source)) throw new Error("a pattern may not refer back to what a group has matched");
    return { kind: "sign", source };
  }

  #group(): Node {
    if (this.#takes("?") && !this.#takes(":")) {
      const name = /<[^=!][^>]*>/y;
      name.lastIndex = this.#at;
      if (!name.test(this.#source)) throw new Error("a pattern may not look ahead or behind, or change its flags");
      this.#at = name.lastIndex;
    }
    const inside = this.alternatives();
    this.#takes(")");
    return inside;
  }

  #isNext(sign: string): boolean {
    return this.#source.startsWith(sign, this.#at);
  }

  #takes(sign: string): boolean {
    const isNext = this.#isNext(sign);
    if (isNext) this.#at += sign.length;
    return isNext;
  }
}

/** At least as many steps as it is compiled to. */
function sizeOf(node: Node): number {
  if (node.kind === "repeat") {
    const copies = Number.isFinite(node.most) ? node.most : node.least + 1;
    return (sizeOf(node.of) + 2) * Math.max(1, copies);
  }
  if (node.kind === "all" || node.kind === "any") return node.of.reduce((sum, one) => sum + sizeOf(one) + 2, 1);
  return 1;
}

/** Each part goes on at the step behind it. */
function emit(steps: Step[], node: Node): void {
  if (node.kind === "repeat") emitRepeat(steps, node);
  else if (node.kind === "any") emitAny(steps, node.of);
  else if (node.kind === "all") for (const one of node.of) emit(steps, one);
  else if (node.kind === "sign") steps.push({ kind: "sign", fits: testOf(node.source) });
  else steps.push({ kind: node.kind, to: steps.length + 1 });
}

function testOf(source: string): (sign: string) => boolean {
  if (Array.from(source).length === 1 && source !== ".") return (sign) => sign === source;
  const single = new RegExp(`^(?:${source})$`, "u");
  return (sign) => single.test(sign);
}

function emitAny(steps: Step[], of: readonly Node[]): void {
  const begins: number[] = [];
  steps.push({ kind: "either", to: begins });
  const ends: number[][] = [];
  for (const one of of) {
    begins.push(steps.length);
    emit(steps, one);
    const end: number[] = [];
    steps.push({ kind: "either", to: end });
    ends.push(end);
  }
  for (const end of ends) end.push(steps.length);
}

function emitRepeat(steps: Step[], { of, least, most }: Extract<Node, { kind: "repeat" }>): void {
  for (let copy = 0; copy < least; copy++) emit(steps, of);
  if (most === Number.POSITIVE_INFINITY) {
    const to: number[] = [];
    const loop = steps.push({ kind: "either", to }) - 1;
    to.push(steps.length);
    emit(steps, of);
    steps.push({ kind: "either", to: [loop] });
    to.push(steps.length);
    return;
  }
  const skips: number[][] = [];
  for (let copy = least; copy < most; copy++) {
    const to: number[] = [steps.length + 1];
    steps.push({ kind: "either", to });
    skips.push(to);
    emit(steps, of);
  }
  for (const to of skips) to.push(steps.length);
}

/**
 * Whether the pattern matches anywhere in the text.
 *
 * @param spend is told of each step that is taken: at most those of the pattern for each sign of the text
 */
export function matches({ steps }: Pattern, text: string, spend: (steps: number) => void): boolean {
  // Code points, as a pattern with the flag u takes them.
  const signs = Array.from(text);
  let active: number[] = [];
  for (let at = 0; at <= signs.length; at++) {
    const reached = reach(steps, [...active, 0], signs, at);
    spend(reached.length + 1);
    const next: number[] = [];
    for (const place of reached) {
      const step = steps[place];
      if (step?.kind === "match") return true;
      const sign = signs[at];
      if (step?.kind === "sign" && sign !== undefined && step.fits(sign)) next.push(place + 1);
    }
    active = next;
  }
  return false;
}

/** All steps that can be reached without taking a sign. */
function reach(steps: readonly Step[], from: readonly number[], signs: readonly string[], at: number): number[] {
  const found = new Set(from);
  for (const place of found) {
    const step = steps[place];
    if (step === undefined || step.kind === "sign" || step.kind === "match") continue;
    if (step.kind === "either") for (const to of step.to) found.add(to);
    else if (holds(step.kind, signs, at)) found.add(step.to);
  }
  return [...found];
}

function holds(kind: "start" | "end" | "edge" | "no-edge", signs: readonly string[], at: number): boolean {
  if (kind === "start") return at === 0;
  if (kind === "end") return at === signs.length;
  const isEdge = isWord(signs[at - 1]) !== isWord(signs[at]);
  return isEdge === (kind === "edge");
}

function isWord(sign: string | undefined): boolean {
  return sign !== undefined && /^\w$/.test(sign);
}

/**
 * What JavaScript's engine may do to match a regular expression: in `a*a*b` each repetition may end anywhere, and it tries every way. An upper bound;
 * what it does not hold for is refused. Pure.
 */

/** Parts that are tried: at most `size * ways * (characters + 1) ** degree`. */
interface Cost {
  readonly size: number;
  /** Of alternatives and bounded repetitions. */
  readonly ways: number;
  /** Unbounded repetitions in a row, and one where the pattern may begin anywhere. */
  readonly degree: number;
}

/** Steps to match a text of so many characters, at most; each takes about a microsecond. */
export type PatternSteps = (chars: number) => number;

/** Of the engine, in a microsecond. */
const triesInStep = 250;
/** A pattern has at most so many characters, and takes at most so many steps for a text of so many. */
const [mostChars, mostSteps, usualChars] = [1_000, 50_000, 64];

/** @throws {Error} for what is no pattern, or may take too long; the message says which part, and what is allowed */
export function patternSteps(source: string): PatternSteps {
  if (source.length > mostChars) throw new Error(`it has more than ${mostChars} characters`);
  // Its syntax is JavaScript's own; from here on the source is known to be well-formed.
  void new RegExp(source, "u");
  const { size, ways, degree } = costOf(source);
  const steps: PatternSteps = (chars) => 1 + (size * ways * (chars + 1) ** degree) / triesInStep;
  if (steps(usualChars) <= mostSteps) return steps;
  throw new Error(
    "it has too many *, +, ?, {n,m} or |, or too large ones; begin it with ^, or bound them, such as {1,9}",
  );
}

const token =
  /\\(?:[pPu]\{[^}]*\}|.)|\[(?:\\.|[^\]\\])*\]|\((?:\?(?:[:=!]|<[=!]?))?|(?:[*+?]|\{(?<least>\d+)(?<more>,?)(?<most>\d*)\})\??|./gsu;
const unitCost: Cost = { size: 1, ways: 1, degree: 0 };

/** Alternatives, each with its parts. */
type Group = Cost[][];

function costOf(source: string): Cost {
  const open: Group[] = [[[]]];
  for (const { 0: text, groups = {} } of source.matchAll(token)) addToken(open, text, groups);
  const [alternatives = []] = open;
  const cost = combineAlternatives(alternatives);
  return source.startsWith("^") && alternatives.length === 1 ? cost : { ...cost, degree: cost.degree + 1 };
}

function addToken(open: Group[], text: string, bounds: Bounds): void {
  const group = open.at(-1) ?? [];
  if (/^(?:\\[1-9k]|\(\?<?[=!])/.test(text)) {
    throw new Error(`${text} is not allowed, nor any reference back, look ahead or look behind`);
  }
  if (text.startsWith("(")) open.push([[]]);
  else if (text === ")") closeGroup(open);
  else if (text === "|") group.push([]);
  else addPart(group.at(-1) ?? [], text, bounds);
}

function closeGroup(open: Group[]): void {
  const closed = open.pop() ?? [];
  open.at(-1)?.at(-1)?.push(combineAlternatives(closed));
}

function addPart(parts: Cost[], text: string, bounds: Bounds): void {
  if (!/^[*+?{]/.test(text)) {
    parts.push(unitCost);
    return;
  }
  const part = parts.pop();
  if (!part) throw new Error("a group may not change the flags");
  parts.push(repeatCost(part, text, bounds));
}

function combineAlternatives(alternatives: readonly (readonly Cost[])[]): Cost {
  return alternatives
    .map((parts) =>
      parts.reduce((a, b) => ({ size: a.size + b.size, ways: a.ways * b.ways, degree: a.degree + b.degree }), unitCost),
    )
    .reduce((a, b) => ({ size: a.size + b.size, ways: a.ways + b.ways, degree: Math.max(a.degree, b.degree) }));
}

function repeatCost(part: Cost, text: string, bounds: Bounds): Cost {
  const [least, most] = boundsOf(text, bounds);
  const size = part.size * (least + 1);
  if (Number.isFinite(most)) return { size, ways: part.ways ** most * (most - least + 1), degree: part.degree * most };
  if (part.ways === 1 && part.degree === 0) return { size, ways: 1, degree: 1 };
  throw new Error(
    `a group before ${text} may have no |, ?, *, + or {n,m} in it; a class of characters may do, such as [a-z-]+`,
  );
}

/** Of a quantifier in braces. */
type Bounds = Readonly<Record<string, string | undefined>>;

function boundsOf(text: string, { least, more, most }: Bounds): [least: number, most: number] {
  if (least === undefined) return [text.startsWith("+") ? 1 : 0, text.startsWith("?") ? 1 : Number.POSITIVE_INFINITY];
  return [Number(least), more === "" ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most)];
}

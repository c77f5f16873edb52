/** Upper bound of a regular expression's cost: in `a*a*b` the engine tries every split. Pure. */

/** Tries are at most `size * ways * (characters + 1) ** degree`. */
interface Cost {
  readonly size: number;
  readonly ways: number;
  readonly degree: number;
}

/** Maximum steps for a text of this length; each takes about a microsecond. */
export type PatternSteps = (chars: number) => number;

const triesInStep = 250;
const [mostChars, mostSteps, usualChars] = [1_000, 50_000, 64];

/** @throws {Error} for an invalid or expensive pattern; names the part and what is allowed */
export function patternSteps(source: string): PatternSteps {
  if (source.length > mostChars) throw new Error(`it has more than ${mostChars} characters`);
  void new RegExp(source, "u");
  const { size, ways, degree } = costOf(source);
  const steps: PatternSteps = (chars) => 1 + (size * ways * (chars + 1) ** degree) / triesInStep;
  if (steps(usualChars) <= mostSteps) return steps;
  throw new Error(
    "it has too many *, +, ?, {n,m} or |, or too large ones; start it with ^, or bound them, such as {1,9}",
  );
}

/** Reads at most 1,000 characters: a longer pattern is refused before. */
const token =
  /\\(?:[pPu]\{[^}]*\}|.)|\[(?:\\.|[^\]\\])*\]|\((?:\?(?:[:=!]|<[=!]?))?|(?:[*+?]|\{(?<least>\d+)(?<more>,?)(?<most>\d*)\})\??|./gsu;
const unitCost: Cost = { size: 1, ways: 1, degree: 0 };

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
    throw new Error(`${text} is not allowed, nor any backreference, lookahead or lookbehind`);
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
    `a group before ${text} may have no |, ?, *, + or {n,m} in it; try a character class, such as [a-z-]+`,
  );
}

type Bounds = Readonly<Record<string, string | undefined>>;

function boundsOf(text: string, { least, more, most }: Bounds): [least: number, most: number] {
  if (least === undefined) return [text.startsWith("+") ? 1 : 0, text.startsWith("?") ? 1 : Number.POSITIVE_INFINITY];
  return [Number(least), more === "" ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most)];
}

/** Texts that make a backtracking expression slow, if any do: each of its repetitions is pumped. */
import { RegExpParser, visitRegExpAST, type AST } from "@eslint-community/regexpp";

/** A text of about so many characters. */
export type Attack = (length: number) => string;

/** Characters that stand for their class. */
const characters = "a \n1-./_,:=\"'`([{<*#\\A!?\t0éж好@$|;&>".split("");
/** A repetition of fewer is no danger. */
const minRepeats = 10;
const perRepetition = 3;
const perGroup = 24;
/** Fails what follows a repetition, also at the end of the text. */
const endings = ["\u0001", ""];

export function attacksOn(source: string, flags: string): Attack[] {
  const samples = new Samples(flags);
  const pattern = parse(source, flags);
  const repetitions: AST.Quantifier[] = [];
  visitRegExpAST(pattern, {
    onQuantifierEnter: (one) => void (one.max >= minRepeats && repetitions.push(one)),
  });
  const classes = repetitions.flatMap(({ element }) => (isOneCharacter(element) ? [element] : []));
  const parts = new Map<string, readonly [string, string]>();
  for (const repetition of repetitions) {
    const before = samples.before(repetition);
    const pumps = isOneCharacter(repetition.element)
      ? samples.matching(repetition.element, classes).slice(0, perRepetition)
      : samples.variants(repetition.element).slice(0, perGroup);
    for (const pump of pumps) {
      for (const [head, part] of [
        [before, pump],
        ["", pump],
        ["", before + pump],
        ["", before],
      ] as const)
        if (part !== "") parts.set(`${head}\0${part}`, [head, part]);
    }
  }
  return [...parts.values()].flatMap(([head, part]) =>
    endings.map((ending) => (length) => head + part.repeat(Math.max(1, Math.floor(length / part.length))) + ending),
  );
}

function isOneCharacter({ type }: AST.Node): boolean {
  return ["Character", "CharacterSet", "CharacterClass", "ExpressionCharacterClass"].includes(type);
}

function parse(source: string, flags: string): AST.Pattern {
  const [unicode, unicodeSets] = [flags.includes("u"), flags.includes("v")];
  return new RegExpParser().parsePattern(source, 0, source.length, { unicode, unicodeSets });
}

class Samples {
  readonly #flags: string;
  readonly #known = new Map<string, readonly string[]>();

  constructor(flags: string) {
    this.#flags = flags.replaceAll(/[gy]/g, "");
  }

  /** What stands before a node, matched as briefly as its first alternatives can. */
  before(node: AST.Node): string {
    const { parent } = node;
    if (parent === null) return "";
    const siblings = parent.type === "Alternative" ? parent.elements : [];
    const index = siblings.findIndex((one) => one === node);
    const prefix = siblings.slice(0, Math.max(0, index)).map((one) => this.#sample(one));
    return this.before(parent) + prefix.join("");
  }

  /** Characters of a class, first those that the most repetitions of the expression match too. */
  matching(node: AST.Node, classes: readonly AST.Node[]): readonly string[] {
    const shared = (char: string): number => classes.filter((one) => this.#charactersOf(one).includes(char)).length;
    return this.#charactersOf(node).toSorted((one, other) => shared(other) - shared(one));
  }

  variants(node: AST.Node): string[] {
    if (node.type !== "Group" && node.type !== "CapturingGroup") return [this.#sample(node)];
    return node.alternatives.flatMap((one) => [this.#sample(one), this.#sample(one, 1)]);
  }

  #charactersOf({ raw }: AST.Node): readonly string[] {
    const known = this.#known.get(raw);
    if (known !== undefined) return known;
    const expression = new RegExp(`^(?:${raw})$`, this.#flags);
    const found = characters.filter((char) => expression.test(char));
    this.#known.set(raw, found);
    return found;
  }

  /** @param least repetitions of what may also be absent */
  #sample(node: AST.Node, least = 0): string {
    if (isOneCharacter(node)) {
      if (node.type === "Character") return String.fromCodePoint(node.value);
      return this.#charactersOf(node)[0] ?? "";
    }
    if (node.type === "Alternative") return node.elements.map((one) => this.#sample(one, least)).join("");
    if (node.type === "Group" || node.type === "CapturingGroup")
      return this.#sample(node.alternatives[0] as AST.Alternative, least);
    if (node.type !== "Quantifier") return "";
    return this.#sample(node.element, least).repeat(Math.max(node.min, Math.min(least, node.max)));
  }
}

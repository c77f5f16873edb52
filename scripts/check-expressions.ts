/**
 * `npm run lint` runs it: no regular expression of `src` takes exponential time. With `--timed`,
 * at night: none takes more than linear time, unless the text that it reads is short. Prints each
 * fault as `file:line: why`.
 *
 * An expression that is not linear needs a comment `reads at most N characters: <what bounds it>`
 * above it, or one for the whole file: `Each expression reads at most N characters: ...`.
 */
import { globSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { Lang, parse } from "@ast-grep/napi";
import { RegExpParser, visitRegExpAST, type AST } from "@eslint-community/regexpp";
import { analyse } from "scslre";

/** A text of about so many characters. */
type Attack = (length: number) => string;

/** Characters that stand for their class. */
const characters = "a \n1-./_,:=\"'`([{<*#\\A!?\t0éж好@$|;&>".split("");
/** A repetition of fewer is no danger. */
const minRepeats = 10;
const perRepetition = 3;
const perGroup = 24;
/** Fails what follows a repetition, also at the end of the text. */
const endings = ["\u0001", ""];

/** Texts that make a backtracking expression slow, if any do: each of its repetitions is pumped. */
function attacksOn(source: string, flags: string): Attack[] {
  const samples = new Samples(flags);
  const pattern = parsePattern(source, flags);
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

function parsePattern(source: string, flags: string): AST.Pattern {
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

const root = join(import.meta.dirname, "..");

export interface Expression {
  readonly path: string;
  readonly line: number;
  readonly source: string;
  readonly flags: string;
  /** Characters that the expression reads at most; null: any number. */
  readonly bound: number | null;
}

/** Expressions of `src`, literal or composed: the modules that compose some are loaded. */
export async function expressionsOf(folder = "src"): Promise<{ expressions: Expression[]; faults: string[] }> {
  const paths = globSync(`${folder}/**/*.{ts,tsx}`, { cwd: root }).toSorted();
  const files = paths.map((path) => readFile(path));
  const composed = await loadComposed(files.filter(({ sites }) => sites.length > 0));
  const faults = files.flatMap(({ path, sites }) =>
    sites.flatMap((line) =>
      composed.some((one) => one.path === path && one.line === line)
        ? []
        : [`${path}:${line}: the expression is composed where the check cannot see it; compose it as the module loads`],
    ),
  );
  const unbound = files.flatMap(({ literals }) => literals);
  const boundOf = (path: string, line: number): number | null =>
    files.find((file) => file.path === path)?.bounds.get(line) ?? null;
  const expressions = [...unbound, ...composed].map(({ path, line, source, flags }) => {
    return { path, line, source, flags, bound: boundOf(path, line) };
  });
  return { expressions, faults };
}

type Found = Omit<Expression, "bound">;

interface SourceFile {
  readonly path: string;
  readonly literals: readonly Found[];
  /** Lines that make an expression from a text. */
  readonly sites: readonly number[];
  readonly bounds: ReadonlyMap<number, number | null>;
}

const boundComment = /^\s*(?:\/\/|\/?\*+).*?\breads at most (\d[\d,]*) characters: \S/i;
const comment = /^\s*(?:\/\/|\/?\*)/;

function readFile(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const tree = parse(path.endsWith("x") ? Lang.Tsx : Lang.TypeScript, text).root();
  const literals = tree.findAll({ rule: { kind: "regex" } }).map((node) => {
    const [source, flags] = [node.field("pattern")?.text() ?? "", node.field("flags")?.text() ?? ""];
    return { path, line: node.range().start.line + 1, source, flags };
  });
  const calls = tree.findAll({
    rule: { kind: "new_expression", has: { field: "constructor", regex: "^RegExp$" } },
  });
  const made = calls.filter((node) => node.parent()?.kind() !== "unary_expression");
  const sites = made.map((node) => node.range().start.line + 1);
  const lines = text.split("\n");
  const ofFile = Number(
    /^(?:\/\/|\/?\*+| \*) .*Each expression reads at most (\d+) characters: \S/m.exec(text)?.[1] ?? NaN,
  );
  const bounds = new Map(
    [...literals.map(({ line }) => line), ...sites].map((line) => [line, boundAt(lines, line) ?? (ofFile || null)]),
  );
  return { path, literals, sites, bounds };
}

function boundAt(lines: readonly string[], line: number): number | null {
  const isBroken = lines[line - 2]?.endsWith(" =") === true;
  const above = lines.slice(0, line - (isBroken ? 2 : 1)).toReversed();
  const comments = above.slice(
    0,
    above.findIndex((one) => !comment.test(one)),
  );
  const [, digits] = boundComment.exec(comments.find((one) => boundComment.test(one)) ?? "") ?? [];
  return digits === undefined ? null : Number(digits.replaceAll(",", ""));
}

declare global {
  // oxlint-disable-next-line vars-on-top -- how TypeScript declares a global
  var recordExpression: ((path: string, line: number) => typeof RegExp) | undefined;
}

/** Loads modules with their constructors of expressions replaced by one that records. */
async function loadComposed(files: readonly SourceFile[]): Promise<Found[]> {
  const found: Found[] = [];
  globalThis.recordExpression = (path, line) =>
    class extends RegExp {
      constructor(source: RegExp | string, flags?: string) {
        super(source, flags);
        found.push({ path, line, source: this.source, flags: this.flags });
      }
    } as typeof RegExp;
  const folder = pathToFileURL(`${root}/`).href;
  const paths = new Set(files.map(({ path }) => path));
  const hooks = registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      const path = url.startsWith(folder) ? fileURLToPath(url).slice(root.length + 1) : "";
      return paths.has(path) ? { ...loaded, source: recorded(path, readFileSync(join(root, path), "utf8")) } : loaded;
    },
  });
  for (const path of paths) await import(pathToFileURL(join(root, path)).href);
  // Composes its expressions at its first use.
  const { redact } = (await import("../src/redaction/redact.ts")) as { redact: (text: string) => unknown };
  redact("a");
  hooks.deregister();
  return found;
}

function recorded(path: string, source: string): string {
  const replaced = (line: number): string => `new (globalThis.recordExpression("${path}", ${line}))(`;
  return source
    .split("\n")
    .map((line, index) => line.replaceAll(/(?<!void )\bnew RegExp\(/g, replaced(index + 1)))
    .join("\n");
}

const maxBound = 32_000;
/** Of the processor, for the longest text that a bounded expression reads. */
const boundedMs = 100;
const [shortLength, longLength] = [8_000, 32_000];
/** Four times the text: linear time grows four times, quadratic sixteen. */
const linearGrowth = 9;
/** For the short text: what is linear takes less, or shows it by the long text. */
const leastMs = 1;
const hopelessMs = 100;
const givenUpMs = 1_000;

/**
 * Why the expression must not stay as it is; null: nothing found.
 *
 * @param isTimed also measures how its time grows, which a busy machine may blur
 */
export function faultOf({ path, line, source, flags, bound }: Expression, isTimed = true): string | null {
  const where = `${path}:${line}:`;
  const isExponential = analyse(new RegExp(source, flags)).reports.some((report) => report.exponential);
  if (isExponential) return `${where} exponential time: repetitions of the same text within each other`;
  if (bound !== null && bound > maxBound) return `${where} reads up to ${bound} characters: at most ${maxBound}`;
  if (!isTimed) return null;
  const slow = attacksOn(source, flags).find((attack) =>
    bound === null ? isSuperLinear(source, flags, attack) : cpuMs(source, flags, attack(bound)) > boundedMs,
  );
  if (slow === undefined) return null;
  const text = JSON.stringify(slow(30).slice(0, 60));
  if (bound !== null) return `${where} takes over ${boundedMs} ms for ${bound} characters such as ${text}`;
  return `${where} more than linear time for a text such as ${text}; rewrite it, or state above it "reads at most N characters: ..."`;
}

function isSuperLinear(source: string, flags: string, attack: Attack): boolean {
  const short = cpuMs(source, flags, attack(shortLength));
  if (short < leastMs) return false;
  if (short > hopelessMs) return true;
  const [shorts, longs] = [shortLength, longLength].map((length) =>
    Math.min(...[0, 1].map(() => cpuMs(source, flags, attack(length)))),
  ) as [number, number];
  return longs > linearGrowth * Math.max(shorts, leastMs);
}

const search = new Script("globalThis.searchText()");

/** Time on the processor until the first match; infinite for a search that is given up. */
function cpuMs(source: string, flags: string, text: string): number {
  const expression = new RegExp(source, flags);
  Object.assign(globalThis, { searchText: () => expression.exec(text) });
  // A busy machine keeps the processor from it, and the watchdog counts all of the time.
  for (let timeout = givenUpMs; ; timeout *= 4) {
    const before = process.threadCpuUsage();
    try {
      search.runInThisContext({ timeout });
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
      const spent = process.threadCpuUsage(before);
      if (spent.user + spent.system < givenUpMs * 500) continue;
      return Number.POSITIVE_INFINITY;
    }
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  }
}

if (import.meta.main) {
  const { expressions, faults } = await expressionsOf();
  const isTimed = process.argv.includes("--timed");
  const all = [...faults, ...expressions.flatMap((one) => faultOf(one, isTimed) ?? [])];
  for (const fault of all) console.error(fault);
  if (all.length > 0) process.exitCode = 1;
}

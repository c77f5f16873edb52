import { posix } from "node:path";
import { seededRandom } from "../../src/shared/seeded-random.ts";

export const defectKinds = ["dead export", "duplicate", "complex function", "type error", "lint"] as const;
export type DefectKind = (typeof defectKinds)[number];

export interface Defect {
  readonly kind: DefectKind;
  readonly file: string;
  /** Name of the declaration. */
  readonly symbol: string;
  /** Lines from 1, both included. */
  readonly lines: readonly [first: number, last: number];
}

export interface Seeding {
  /** New text by file. */
  readonly texts: Readonly<Record<string, string>>;
  readonly defects: readonly Defect[];
}

export interface SeedRequest {
  readonly entry: string;
  /** Text of the entry and of other modules, which get some of the dead exports. */
  readonly sources: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Of a path in an import. */
  readonly importEnd?: string;
}

export const counts: Readonly<Record<DefectKind, number>> = {
  "dead export": 20,
  duplicate: 4,
  "complex function": 4,
  "type error": 4,
  lint: 6,
};

interface Declaration {
  readonly kind: DefectKind | null;
  readonly symbol: string;
  readonly text: string;
  readonly isUsed: boolean;
}

/**
 * Adds defects to the modules of a package: dead exports to those that exist, everything to two new
 * ones, which the entry exports. Same seed, same defects.
 */
export function seedDefects({ entry, sources, seed, importEnd = "" }: SeedRequest): Seeding {
  const random = seededRandom(seed);
  const draw = (below: number): number => Math.floor(random() * below);
  const folder = posix.dirname(entry);
  const added = [1, 2].map((number) => posix.join(folder, `seeded-${number}.ts`));
  const byFile = new Map<string, Declaration[]>([...added, ...Object.keys(sources)].map((file) => [file, []]));
  const put = (file: string | undefined, one: Declaration): void => void byFile.get(file ?? "")?.push(one);
  const deadFiles = [...byFile.keys()].filter((file) => file !== entry);
  repeat(counts["dead export"], (index) => put(deadFiles[draw(deadFiles.length)], deadExport(index)));
  repeat(counts["complex function"], (index) => put(added[draw(2)], complexFunction(index, draw)));
  repeat(counts["type error"], (index) => put(added[draw(2)], typeError(index)));
  repeat(counts.lint, (index) => put(added[draw(2)], lintFault(index)));
  repeat(counts.duplicate, (index) => {
    const copy = duplicate(index, draw);
    // Between copies that stand next to each other in both modules nothing differs.
    for (const file of added) {
      put(file, copy);
      put(file, separator(index, file));
    }
  });
  const texts: Record<string, string> = {};
  const defects: Defect[] = [];
  for (const [file, declarations] of byFile) {
    const at = added.indexOf(file);
    const used = declarations.filter(({ isUsed }) => isUsed).map(({ symbol }) => symbol);
    const end = at < 0 ? "" : `\nexport const seededUse${at + 1}: readonly unknown[] = [${used.join(", ")}];\n`;
    const written = append(sources[file] ?? "", declarations, file);
    defects.push(...written.defects);
    if (declarations.length > 0 || at >= 0) texts[file] = written.text + end;
  }
  const exported = added.map((_, at) => `export { seededUse${at + 1} } from "./seeded-${at + 1}${importEnd}";\n`);
  texts[entry] = withLineEnd(sources[entry] ?? "") + exported.join("");
  return { texts, defects };
}

function append(source: string, declarations: readonly Declaration[], file: string): Seeding & { text: string } {
  let text = source === "" ? "" : withLineEnd(source);
  const defects = declarations.flatMap(({ kind, symbol, text: added }): Defect[] => {
    text += text === "" ? "" : "\n";
    const first = text.split("\n").length;
    text += added;
    return kind === null ? [] : [{ kind, file, symbol, lines: [first, text.split("\n").length - 1] }];
  });
  return { text, texts: {}, defects };
}

function withLineEnd(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

function repeat(count: number, body: (index: number) => void): void {
  for (let index = 1; index <= count; index++) body(index);
}

function deadExport(index: number): Declaration {
  const symbol = `seededDead${index}`;
  const asFunction = `export function ${symbol}(): number {\n  return ${index};\n}\n`;
  const text = index % 2 === 0 ? asFunction : `export const ${symbol} = ${index};\n`;
  return { kind: "dead export", symbol, text, isUsed: false };
}

type Draw = (below: number) => number;

const branches = 16;
const operators = ["+", "-", "*", "|", "&", "^"];

function complexFunction(index: number, draw: Draw): Declaration {
  const symbol = `seededComplex${index}`;
  const lines = Array.from({ length: branches }, (_, at) => {
    const operator = operators[draw(operators.length)] ?? "+";
    return `  if (value${index} > ${draw(1_000_000)}) value${index} = value${index} ${operator} ${at + draw(1_000)};\n`;
  });
  const text = `function ${symbol}(value${index}: number): number {\n${lines.join("")}  return value${index};\n}\n`;
  return { kind: "complex function", symbol, text, isUsed: true };
}

function typeError(index: number): Declaration {
  const symbol = `seededTypeError${index}`;
  return { kind: "type error", symbol, text: `const ${symbol}: number = "text ${index}";\n`, isUsed: true };
}

/** The linter fixes both kinds by itself. */
function lintFault(index: number): Declaration {
  const symbol = `seededLint${index}`;
  const escape = `function ${symbol}(): string {\n  return "${index}\\-";\n}\n`;
  const rename = `function ${symbol}({ value: value }: { value: number }): number {\n  return value + ${index};\n}\n`;
  return { kind: "lint", symbol, text: index % 2 === 0 ? escape : rename, isUsed: true };
}

const statements = 14;

/** The same text in both modules. */
function duplicate(index: number, draw: Draw): Declaration {
  const symbol = `seededDuplicate${index}`;
  const lines = Array.from({ length: statements }, (_, at) => {
    const operator = operators[draw(operators.length)] ?? "+";
    return `  const step${index}${at} = (${at === 0 ? "given" : `step${index}${at - 1}`} ${operator} ${draw(1_000_000)}) % ${draw(999) + 1};\n`;
  });
  const text = `function ${symbol}(given: number): number {\n${lines.join("")}  return step${index}${statements - 1};\n}\n`;
  return { kind: "duplicate", symbol, text, isUsed: true };
}

function separator(index: number, file: string): Declaration {
  const symbol = `seededMark${index}`;
  return { kind: null, symbol, text: `const ${symbol} = ${JSON.stringify(file)};\n`, isUsed: true };
}

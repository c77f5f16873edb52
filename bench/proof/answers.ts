import { posix } from "node:path";
import type { Defect, Seeding } from "./defects.ts";

/** Replaces the first occurrence of a text; an empty one stands for the start of the file. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** How the scripted model treats a seeded defect. */
export interface Answer {
  readonly symbol: string;
  readonly edits: readonly Edit[];
  /** Why the judge has to refuse the change; null: it has to keep it. */
  readonly refusal: RegExp | null;
}

interface Declaration extends Defect {
  readonly text: string;
  readonly entry: string;
}

/** The defects that no fixer removes. Of each kind the last is treated in a way that a judge has to refuse. */
export function answersFor(entry: string, { texts, defects }: Seeding): Answer[] {
  const last = new Map(defects.map(({ kind, symbol }) => [kind, symbol]));
  return defects.flatMap((defect): Answer[] => {
    const [first, end] = defect.lines;
    const text = (texts[defect.file] ?? "")
      .split("\n")
      .slice(first - 1, end)
      .join("\n");
    const isBad = last.get(defect.kind) === defect.symbol;
    const answer = treatments[defect.kind]?.({ ...defect, text, entry }, isBad);
    return answer ? [{ symbol: defect.symbol, ...answer }] : [];
  });
}

type Treatment = (one: Declaration, isBad: boolean) => Omit<Answer, "symbol"> | null;

const treatments: Readonly<Partial<Record<Defect["kind"], Treatment>>> = {
  "type error": ({ file, text }, isBad) => {
    const to = isBad ? `// @ts-expect-error -- scripted\n${text}` : text.replace(/"text (\d+)"/, "$1");
    return { edits: [{ file, from: text, to }], refusal: isBad ? /suppress/ : null };
  },
  "complex function": ({ file, symbol, text }, isBad) => {
    const to = isBad ? text.replace(" {\n", " {\n  debugger;\n").replace(/^  if .*\n/gm, "") : asTable(symbol, text);
    return { edits: [{ file, from: text, to }], refusal: isBad ? /new findings: .*no-debugger/ : null };
  },
  duplicate: ({ file, symbol, text, entry }, isBad) => {
    const [kept = "", other = ""] = [1, 2].map((number) => posix.join(posix.dirname(entry), `seeded-${number}.ts`));
    // Its other copy is the same defect.
    if (file !== kept) return null;
    const shared = [
      { file: kept, from: text, to: `export ${text}` },
      { file: other, from: `${text}\n`, to: "" },
      { file: other, from: "", to: `import { ${symbol} } from "./seeded-1";\n` },
    ];
    const published = { file: entry, from: "", to: `export { ${symbol} } from "./seeded-1";\n` };
    return { edits: isBad ? [...shared, published] : shared, refusal: isBad ? /public API/ : null };
  },
};

/** The same function as a table of limits and steps. */
function asTable(symbol: string, text: string): string {
  const steps = [...text.matchAll(/> (\d+)\) \w+ = \w+ (.) (\d+);/g)];
  const rows = steps.map(([, limit, operator, by]) => `  [${limit}, (value) => value ${operator} ${by}],\n`);
  const type = "readonly (readonly [limit: number, step: (value: number) => number])[]";
  return `const ${symbol}Steps: ${type} = [\n${rows.join("")}];

function ${symbol}(start: number): number {
  return ${symbol}Steps.reduce((value, [limit, step]) => (value > limit ? step(value) : value), start);
}`;
}

import { createHash } from "node:crypto";
import * as z from "zod";
import { compare } from "../../shared/compare.ts";

export const toolNames = ["tsc", "eslint", "oxlint", "biome", "complexity", "knip", "fallow", "jscpd"] as const;

export type ToolName = (typeof toolNames)[number];

/** Note: information, which is no problem by itself. */
export const Level = z.enum(["error", "warning", "note"]);
export type Level = z.infer<typeof Level>;

/** Lines and columns count from 1. */
export const Range = z.object({
  line: z.int().min(1),
  column: z.int().min(1).optional(),
  /** Last line of copied code. */
  endLine: z.int().min(1).optional(),
});
export type Range = z.infer<typeof Range>;

export const Position = z.object({ file: z.string(), range: Range.nullable() });
export type Position = z.infer<typeof Position>;

/** Another tool that reports the same. */
const SameFinding = z.object({ tool: z.string(), rule: z.string() });

export const Finding = z.object({
  tool: z.string(),
  rule: z.string(),
  level: Level,
  /** Relative to the folder, with `/`. */
  file: z.string(),
  /** The file as a whole has none. */
  range: Range.nullable(),
  message: z.string(),
  /** Name of what is unused, too complex, or missing. */
  symbol: z.string().optional(),
  /** Other copies of duplicated code. */
  related: z.array(Position).optional(),
  /** Stable when lines above it move. */
  fingerprint: z.string(),
  /** Fingerprint without the path, by which a finding of a renamed file is found again. */
  content: z.string(),
  others: z.array(SameFinding).optional(),
  /** Against a commit; absent where nothing was compared. */
  isNew: z.boolean().optional(),
});
export type Finding = z.infer<typeof Finding>;

/** A finding as a parser returns it. */
export type RawFinding = Pick<Finding, "rule" | "level" | "file" | "range" | "message" | "symbol" | "related">;

export const lintTools: readonly string[] = ["eslint", "oxlint", "biome", "complexity"] satisfies ToolName[];

/**
 * Rules of different tools that report the same thing. Rules of linters stand without their plugin,
 * `lint` for all linters: `no-undef` is also oxlint's `eslint(no-undef)`.
 */
const equivalent: Readonly<Record<string, readonly string[]>> = {
  "undefined-name": ["tsc TS2304", "tsc TS2552", "lint no-undef", "lint no-undeclared-variables"],
  "unused-name": [
    "tsc TS6133",
    "tsc TS6192",
    "tsc TS6196",
    "tsc TS6198",
    "tsc TS6199",
    "lint no-unused-vars",
    "lint no-unused-variables",
    "lint no-unused-imports",
    "lint no-unused-function-parameters",
  ],
  "unreachable-code": ["tsc TS7027", "lint no-unreachable"],
  "missing-return": ["tsc TS7030", "lint consistent-return"],
  "fallthrough-case": ["tsc TS7029", "lint no-fallthrough", "lint no-fallthrough-switch-clause"],
  "unused-label": ["tsc TS7028", "lint no-unused-labels"],
  "duplicate-key": ["tsc TS1117", "lint no-dupe-keys", "lint no-duplicate-object-keys"],
  "const-assignment": ["tsc TS2588", "lint no-const-assign"],
  "unresolved-import": ["tsc TS2307", "lint no-unresolved", "knip unresolved", "fallow unresolved-import"],
  "import-cycle": ["lint no-cycle", "lint no-import-cycles", "fallow circular-dependency"],
  "unused-file": ["knip files", "fallow unused-file"],
  "unused-export": ["knip exports", "fallow unused-export"],
  "unused-type": ["knip types", "fallow unused-type"],
  "unused-enum-member": ["knip enumMembers", "fallow unused-enum-member"],
  "unused-class-member": ["knip classMembers", "fallow unused-class-member"],
  "unused-dependency": [
    "knip dependencies",
    "knip devDependencies",
    "fallow unused-dependency",
    "fallow unused-dev-dependency",
    "fallow unused-optional-dependency",
  ],
  "unlisted-dependency": ["knip unlisted", "lint no-extraneous-dependencies", "fallow unlisted-dependency"],
  complexity: ["lint complexity"],
  duplicate: ["fallow code-duplication", "jscpd duplicate"],
};

const conceptByRule = new Map(
  Object.entries(equivalent).flatMap(([concept, rules]) => rules.map((rule) => [rule, concept])),
);

/** Names what a rule reports, equal for all tools that report it. */
export function conceptOf(tool: string, rule: string): string {
  const key = lintTools.includes(tool) ? `lint ${lintName(rule)}` : `${tool} ${rule}`;
  return conceptByRule.get(key) ?? key;
}

/** `@typescript-eslint/no-x`, `typescript(no-x)` and `lint/style/noX` are all `no-x`. */
function lintName(rule: string): string {
  const name = /\(([^()]+)\)$/.exec(rule)?.[1] ?? rule.split("/").at(-1) ?? rule;
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export interface ToolFindings {
  readonly tool: string;
  readonly findings: readonly RawFinding[];
}

const levelOrder: readonly Level[] = ["note", "warning", "error"];

/** A finding before it has a fingerprint. */
export type MergedFinding = Omit<Finding, "fingerprint" | "content" | "isNew">;

/**
 * Joins what several tools report about the same thing: rules that are declared equivalent, in the
 * same file, of the same symbol or else in the same line. Findings of one tool are not joined; the
 * level is the highest that a tool gives.
 *
 * @param results in the order of precedence: the first tool names a joined finding
 * @returns by file and line; a file as a whole comes first
 */
export function mergeFindings(results: readonly ToolFindings[]): MergedFinding[] {
  const all: MergedFinding[] = [];
  const byThing = new Map<string, MergedFinding>();
  for (const { tool, findings } of results) {
    for (const found of findings) {
      const { rule, level, file, symbol, range } = found;
      const named = [symbol ?? [], range?.line ?? []].flat();
      const things = (named.length === 0 ? ["file"] : named).map((one) =>
        JSON.stringify([conceptOf(tool, rule), file, one]),
      );
      const isSame = ({ symbol: other = symbol, others = [], ...one }: MergedFinding): boolean =>
        (other === symbol || symbol === undefined) && [one, ...others].every((by) => by.tool !== tool);
      const first = things.flatMap((thing) => byThing.get(thing) ?? []).find(isSame);
      if (first) {
        first.others = [...(first.others ?? []), { tool, rule }];
        if (levelOrder.indexOf(level) > levelOrder.indexOf(first.level)) first.level = level;
        continue;
      }
      const merged = { tool, ...found };
      all.push(merged);
      for (const thing of things) if (!byThing.has(thing)) byThing.set(thing, merged);
    }
  }
  const lineOf = ({ range }: MergedFinding): number => range?.line ?? 0;
  const columnOf = ({ range }: MergedFinding): number => range?.column ?? 0;
  return all.toSorted(
    (a, b) =>
      compare(a.file, b.file) ||
      lineOf(a) - lineOf(b) ||
      columnOf(a) - columnOf(b) ||
      compare(a.tool, b.tool) ||
      compare(a.rule, b.rule),
  );
}

const hashChars = 32;

/**
 * A fingerprint is made of the rule, the path, the words at the finding and its number among
 * equal ones: what is added above does not change it.
 *
 * @param findings of one analysis, in the order of their positions
 * @param read the text of a file; null: it cannot be read
 */
export function withFingerprints(findings: readonly MergedFinding[], read: (file: string) => string | null): Finding[] {
  const counts = new Map<string, number>();
  const lines = new Map<string, readonly string[]>();
  const linesOf = (file: string): readonly string[] => {
    const found = lines.get(file) ?? (read(file) ?? "").split("\n");
    lines.set(file, found);
    return found;
  };
  return findings.map((finding) => {
    const concept = conceptOf(finding.tool, finding.rule);
    const words = wordsAt(finding, linesOf);
    // A file as a whole is found again under another name by its text.
    const content = hash([concept, words ?? linesOf(finding.file).join("\n")]);
    const key = hash([concept, finding.file, words ?? ""]);
    const ordinal = (counts.get(key) ?? 0) + 1;
    counts.set(key, ordinal);
    return { ...finding, fingerprint: hash([key, String(ordinal)]), content };
  });
}

/** The symbol, the whole text of copies, or the first line. Null: the file as a whole. */
function wordsAt(finding: MergedFinding, linesOf: (file: string) => readonly string[]): string | null {
  const { symbol, range, related, file } = finding;
  if (symbol !== undefined) return symbol;
  if (range === null) return null;
  const { line, endLine = line } = range;
  const text = linesOf(file).slice(line - 1, related ? endLine : line);
  return text.map((one) => one.trim().replaceAll(/\s+/g, " ")).join("\n");
}

function hash(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, hashChars);
}

/**
 * Marks what was not there before. A finding of a file that was renamed is found again by its
 * content; each earlier one stands for one finding.
 *
 * @param isPresent whether a file that had a finding still exists
 */
export function markNew(
  findings: readonly Finding[],
  before: readonly Finding[],
  isPresent: (file: string) => boolean,
): Finding[] {
  const known = new Set(before.map(({ fingerprint }) => fingerprint));
  const current = new Set(findings.map(({ fingerprint }) => fingerprint));
  const movedContents = new Map<string, number>();
  for (const { fingerprint, content, file } of before) {
    if (current.has(fingerprint) || isPresent(file)) continue;
    movedContents.set(content, (movedContents.get(content) ?? 0) + 1);
  }
  return findings.map((finding) => {
    if (known.has(finding.fingerprint)) return { ...finding, isNew: false };
    const moved = movedContents.get(finding.content) ?? 0;
    if (moved > 0) movedContents.set(finding.content, moved - 1);
    return { ...finding, isNew: moved === 0 };
  });
}

import type { ToolName } from "./adapter.ts";

const lintTools: readonly string[] = ["eslint", "xo", "oxlint", "biome", "complexity"] satisfies ToolName[];

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
  complexity: ["lint complexity", "fallow complexity"],
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

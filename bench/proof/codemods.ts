import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { conceptOf, type Finding } from "../../src/code/analysis/finding.ts";
import type { ProofPackage } from "./packages.ts";

const increments = `id: increment
language: TypeScript
rule: { pattern: "$A++", any: [{ inside: { kind: for_statement, field: increment } }, { inside: { kind: expression_statement } }] }
fix: "$A += 1"
---
id: empty
language: TypeScript
rule: { pattern: "$A.length === 0" }
fix: "$A.length < 1"
`;

/** A branch of \`if\` becomes a block. */
const blocks = `module.exports = ({ source }, { jscodeshift: j }) =>
  j(source).find(j.IfStatement).forEach(({ node }) => {
    for (const branch of ["consequent", "alternate"]) {
      const one = node[branch];
      if (one && one.type !== "BlockStatement" && one.type !== "IfStatement") node[branch] = j.blockStatement([one]);
    }
  }).toSource();
`;

function rename({ renamed: { file, name } }: ProofPackage): string {
  return `// For ts-morph: the declaration is renamed wherever it is used.
export default (project) => {
  const file = project.getSourceFiles().find((one) => one.getFilePath().endsWith(${JSON.stringify(`/${file}`)}));
  const found = file?.getFunction("${name}") ?? file?.getVariableDeclaration("${name}");
  found?.rename("${name}Renamed");
};
`;
}

/** Deletes what the report says that nothing uses. */
function removal(findings: readonly Finding[]): string {
  const dead = findings.filter(({ tool, rule }) => conceptOf(tool, rule) === "unused-export");
  const named = dead.map(({ file, symbol }) => [`/${file}`, symbol]);
  return `// For ts-morph.
export default (project) => {
  for (const [path, name] of ${JSON.stringify(named)}) {
    const file = project.getSourceFiles().find((one) => one.getFilePath().endsWith(path));
    (file?.getFunction(name) ?? file?.getVariableStatement(name))?.remove();
  }
};
`;
}

/** @returns paths by tool */
export function writeCodemods(folder: string, one: ProofPackage): Readonly<Record<string, string>> {
  return {
    "ast-grep": write(folder, "rules.yml", increments),
    jscodeshift: write(folder, "blocks.cjs", blocks),
    "ts-morph": write(folder, "rename.mjs", rename(one)),
  };
}

export function writeRemoval(folder: string, findings: readonly Finding[]): string {
  return write(folder, "removal.mjs", removal(findings));
}

function write(folder: string, name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

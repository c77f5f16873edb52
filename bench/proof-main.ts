/** `npm run bench -- proof`: the tools for code on published packages. Needs npm's registry the first time. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compareTools } from "./proof/compare-tools.ts";
import { packages } from "./proof/packages.ts";
import { prove, type Proof } from "./proof/prove.ts";
import { withShim } from "./proof/shim.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** In each of two files; 0: none. */
    mutants: { type: "string", default: "12" },
    only: { type: "string" },
  },
});
const options = { seed: Number(values.seed), mutants: Number(values.mutants) };
const names = values.only?.split(",");
const chosen = packages.filter(({ folder }) => names?.includes(folder) ?? true);
console.log(`${new Date().toISOString().slice(0, 10)}, node ${process.version}, ${JSON.stringify(options)}`);
console.log(
  "| package | analyze | findings by tool | joined | seeded found | fixed | branches | mutants survived | time |",
);
console.log("|---|---|---|---|---|---|---|---|---|");
if (names?.includes("repository") ?? true) showRepository();
for (const one of chosen) {
  const start = performance.now();
  const proof = await prove(one, options);
  console.log(row(proof, performance.now() - start));
  for (const fault of proof.faults) console.log(`  WRONG ${proof.name}: ${fault}`);
  if (proof.faults.length > 0) process.exitCode = 1;
}

function row(proof: Proof, ms: number): string {
  const { mutants } = proof;
  const tools = proof.tools.map(({ tool, alone }) => `${tool} ${alone}`).join(", ");
  const joined = [...proof.joined].map(([names, count]) => `${names} ${count}`).join(", ");
  const cells = [
    proof.name,
    seconds(proof.analyzeMs),
    `${proof.findings} (${tools})`,
    joined === "" ? "none" : joined,
    `${proof.found} of ${proof.seeded}`,
    `${proof.fixed} of ${proof.mechanical}`,
    String(proof.branches.length),
    mutants === null
      ? "-"
      : `${mutants.survivedBefore} to ${mutants.survivedAfter} of ${mutants.tried}, ${mutants.tests} tests`,
    seconds(ms),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** This repository is only analysed: its tests take minutes. */
function showRepository(): void {
  const root = join(import.meta.dirname, "..");
  const start = performance.now();
  const report = withShim((shim) => shim.analyze(root));
  const ms = performance.now() - start;
  const compared = compareTools(root, report);
  const tools = compared.map(({ tool, alone }) => `${tool} ${alone}`).join(", ");
  console.log(`| this repository | ${seconds(ms)} | ${report.findings.length} (${tools}) | | | | | | |`);
  for (const { tool, differences } of compared) {
    for (const each of differences) console.log(`  WRONG this repository: ${tool} ${each}`);
    if (differences.length > 0) process.exitCode = 1;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

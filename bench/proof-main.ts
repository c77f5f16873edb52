/** `npm run bench -- proof`: the tools for code on published packages. Needs npm's registry the first time. */
import { parseArgs } from "node:util";
import { proveEvolve, type EvolveProof, type TestFigures } from "./proof/evolve.ts";
import { proveOwn } from "./proof/own.ts";
import { packages, type ProofPackage } from "./proof/packages.ts";
import { prove, type Proof } from "./proof/prove.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** In each of two files; 0: none. */
    mutants: { type: "string", default: "12" },
    /** Folders of packages; `repository` for this one. */
    only: { type: "string" },
    /** `tools` or `evolve`. */
    part: { type: "string" },
  },
});
const options = { seed: Number(values.seed), mutants: Number(values.mutants) };
const names = values.only?.split(",");
const chosen = packages.filter(({ folder }) => names?.includes(folder) ?? true);
console.log(`${new Date().toISOString().slice(0, 10)}, node ${process.version}, ${JSON.stringify(options)}`);
if (values.part !== "evolve") await showTools();
if (values.part !== "tools") showEvolve(chosen.filter(({ isAnalysedOnly }) => isAnalysedOnly !== true));

async function showTools(): Promise<void> {
  const columns =
    "package | analyze | findings by tool | joined | seeded found | fixed | branches | mutants survived | time";
  console.log(`\n| ${columns} |\n|${"---|".repeat(9)}`);
  const own = (names?.includes("repository") ?? true) ? [() => proveOwn(options.seed)] : [];
  for (const body of [...own, ...chosen.map((one) => () => prove(one, options))]) {
    const start = performance.now();
    const proof = await body();
    console.log(row(proof, performance.now() - start));
    showFaults(proof.name, proof.faults);
  }
}

function showEvolve(some: readonly ProofPackage[]): void {
  const columns =
    "package | changes: kept, rejected, not begun | findings | model | ended by | time | file with tests | mutants survived | tests | time";
  console.log(`\n| ${columns} |\n|${"---|".repeat(10)}`);
  for (const one of some) {
    const proof = proveEvolve(one, options);
    console.log(evolveRow(one, proof));
    showFaults(one.name, proof.faults);
  }
}

function evolveRow({ name, version }: ProofPackage, { changes, tests }: EvolveProof): string {
  const { tried, findings, starts, costMicros, stopped, ms } = changes;
  const cells = [
    `${name} ${version}`,
    `${tried.kept}, ${tried.rejected}, ${tried.stopped}`,
    `${findings.before} to ${findings.afterAllKept}`,
    `${starts} starts, ${(costMicros / 1e6).toFixed(4)} $`,
    stopped ?? "all was tried",
    seconds(ms),
    ...(tests ? testCells(tests) : []),
  ];
  return `| ${cells.join(" | ")} |`;
}

function testCells({ file, mutants, outcome, ms }: TestFigures): string[] {
  return [file, `${mutants.survivedBefore} to ${mutants.survivedAfter}`, outcome, seconds(ms)];
}

function showFaults(name: string, faults: readonly string[]): void {
  for (const fault of faults) console.log(`  WRONG ${name}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
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
    proof.fixed === null ? "-" : `${proof.fixed.count} of ${proof.fixed.mechanical}`,
    String(proof.branches.length),
    mutants === null
      ? "-"
      : `${mutants.survivedBefore} to ${mutants.survivedAfter} of ${mutants.tried}, ${mutants.tests} tests`,
    seconds(ms),
  ];
  return `| ${cells.join(" | ")} |`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

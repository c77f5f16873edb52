/** `npm run bench -- proof`: the tools for code on published packages. Needs npm's registry the first time. */
import { parseArgs } from "node:util";
import { proveEvolve, type EvolveProof } from "./proof/evolve.ts";
import { proveOwn } from "./proof/own.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { packages, type ProofPackage } from "./proof/packages.ts";
import { prove, type Proof } from "./proof/prove.ts";
import { share } from "./size.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Folders of packages; `repository` for this one. */
    only: { type: "string", ...(share === 0 && { default: "sqids" }) },
    /** `tools` or `evolve`. */
    part: { type: "string", ...(share === 0 && { default: "tools" }) },
  },
});
const options = { seed: Number(values.seed) };
const names = values.only?.split(",");
const known = ["repository", ...packages.map(({ folder }) => folder)];
const unknown = names?.filter((name) => !known.includes(name)) ?? [];
if (unknown.length > 0)
  throw new CannotMeasureError(`There is no package ${unknown.join(", ")}, only ${known.join(", ")}.`);
if (values.part !== undefined && values.part !== "tools" && values.part !== "evolve")
  throw new CannotMeasureError(`There is no part ${values.part}, only tools and evolve.`);
const chosen = packages.filter(({ folder }) => names?.includes(folder) ?? true);
console.log(`${new Date().toISOString().slice(0, 10)}, node ${process.version}, ${JSON.stringify(options)}`);
if (values.part !== "evolve") showTools();
if (values.part !== "tools") showEvolve(chosen.filter(({ isAnalysedOnly }) => isAnalysedOnly !== true));

function showTools(): void {
  const columns = "package | analyze | findings by tool | joined | seeded found | fixed | branches | time";
  console.log(`\n| ${columns} |\n|${"---|".repeat(8)}`);
  const own = (names?.includes("repository") ?? true) ? [() => proveOwn(options.seed)] : [];
  for (const body of [...own, ...chosen.map((one) => () => prove(one, options))]) {
    const start = performance.now();
    const proof = body();
    console.log(row(proof, performance.now() - start));
    showFaults(proof.name, proof.faults);
  }
}

function showEvolve(some: readonly ProofPackage[]): void {
  const columns = "package | changes: kept, rejected, not begun | findings | model | ended by | time";
  console.log(`\n| ${columns} |\n|${"---|".repeat(6)}`);
  for (const one of some) {
    const proof = proveEvolve(one, options);
    console.log(evolveRow(one, proof));
    showFaults(one.name, proof.faults);
  }
}

function evolveRow({ name, version }: ProofPackage, { changes }: EvolveProof): string {
  const { tried, findings, starts, costMicros, stopped, ms } = changes;
  const cells = [
    `${name} ${version}`,
    `${tried.kept}, ${tried.rejected}, ${tried.stopped}`,
    `${findings.before} to ${findings.afterAllKept}`,
    `${starts} starts, ${(costMicros / 1e6).toFixed(4)} $`,
    stopped ?? "all was tried",
    seconds(ms),
  ];
  return `| ${cells.join(" | ")} |`;
}

function showFaults(name: string, faults: readonly string[]): void {
  for (const fault of faults) console.log(`  WRONG ${name}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

function row(proof: Proof, ms: number): string {
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
    seconds(ms),
  ];
  return `| ${cells.join(" | ")} |`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

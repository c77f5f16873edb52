import { execFileSync } from "node:child_process";
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { compareTools, joinedFindings } from "./compare-tools.ts";
import { packagesFolder } from "./fetch.ts";
import { findSeeded, writeSeeds, type Proof } from "./prove.ts";
import { withShim } from "./shim.ts";

const own = join(import.meta.dirname, "../..");

/** This repository, in a copy of its last commit: only analysed, since its tests take many minutes. */
export function proveOwn(seed: number): Proof {
  const root = join(packagesFolder, "repository");
  rmSync(root, { recursive: true, force: true });
  execFileSync("git", ["clone", "--quiet", own, root]);
  symlinkSync(join(own, "node_modules"), join(root, "node_modules"));
  return withShim((shim) => {
    const start = performance.now();
    const report = shim.analyze(root);
    const analyzeMs = performance.now() - start;
    const tools = compareTools(root, report);
    const faults = tools.flatMap(({ tool, differences }) => differences.map((each) => `${tool} ${each}`));
    const entry = "src/cli/cli-entry.ts";
    const seeding = writeSeeds(root, [entry, "src/shared/problems.ts"], { entry, seed, importEnd: ".ts" });
    const { found, defects } = findSeeded(shim, root, seeding, faults);
    const facts = { analyzeMs, findings: report.findings.length, tools, joined: joinedFindings(report) };
    const rest = { seeded: defects.length, found, fixed: null, branches: [], faults };
    return { name: "this repository", ...facts, ...rest };
  });
}

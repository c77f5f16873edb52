import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { Baseline, toBaseline } from "../../../analysis/baseline.ts";
import type { Report } from "../../../analysis/report.ts";
import { writeAtomically } from "../../../platform/private-files.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";

/** Files for the user's repository are readable by all. */
export const fileMode = 0o644;

export function readBaseline(path: string): CliResult<{ readonly name: string; readonly baseline: Baseline }> {
  if (!existsSync(path)) return wrongUsage(`there is no baseline ${path}; --write-baseline makes one.`);
  try {
    return ok({ name: basename(path), baseline: Baseline.parse(JSON.parse(readFileSync(path, "utf8"))) });
  } catch {
    return wrongUsage(`${path} is no baseline of this version; --write-baseline writes one.`);
  }
}

export function writeBaseline(path: string, { findings }: Report): void {
  writeAtomically(path, `${JSON.stringify(toBaseline(findings), null, 2)}\n`, { mode: fileMode });
}

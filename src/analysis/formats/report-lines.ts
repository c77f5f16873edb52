import type { Finding } from "../finding.ts";
import type { Report, ToolRun } from "../report.ts";

export function position({ file, range }: Pick<Finding, "file" | "range">): string {
  const column = range?.column === undefined ? "" : `:${range.column}`;
  return range === null ? file : `${file}:${range.line}${column}`;
}

export function ruleNames({ tool, rule, others = [] }: Finding): string {
  return [`${tool} ${rule}`, ...others.map((other) => `${other.tool} ${other.rule}`)].join(", ");
}

/** Only the new ones of a comparison. */
export function shownFindings({ findings, comparedWith }: Report): readonly Finding[] {
  return comparedWith === null ? findings : findings.filter(({ isNew }) => isNew !== false);
}

export function totalsLine({ totals, comparedWith }: Report): string {
  const all = `${totals.error} errors, ${totals.warning} warnings, ${totals.note} notes`;
  if (comparedWith === null) return all;
  const name = comparedWith.kind === "commit" ? comparedWith.name : `the baseline ${comparedWith.name}`;
  return `${totals.new ?? 0} new since ${name}; ${all} in all`;
}

export function toolState({ status, why, findings, ms }: ToolRun): string {
  if (status === "ran") return `${findings} findings in ${(ms / 1_000).toFixed(1)} s`;
  return `${status === "untrusted" ? "not run" : status}: ${why ?? ""}`;
}

/** Memory is limited for each process, or for the heap of Node programs only. */
export function limitsLine({ limits }: Report): string {
  const network = limits.network === "blocked" ? "no network" : "the network was NOT blocked on this system";
  const scope = limits.memory === "process" ? "memory of each process" : "memory of Node programs only";
  return `Tools ran with ${network}, ${limits.timeMs / 1_000} s each, ${scope} up to ${limits.memoryMb} MB.`;
}

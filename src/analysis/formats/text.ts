import type { Report } from "../report.ts";
import { limitsLine, position, ruleNames, shownFindings, toolState, totalsLine } from "./report-lines.ts";
import { oneLine } from "../../shared/format.ts";

const maxHotspots = 5;

/** A report for a terminal: findings first, then what ran. */
export function toText(report: Report): string {
  const findings = shownFindings(report).map(
    (finding) =>
      `${position(finding)}  ${finding.level}  ${oneLine(finding.message, Infinity)}  [${ruleNames(finding)}]`,
  );
  const tools = report.tools
    .filter(({ status }) => status !== "unused")
    .map((tool) => `${tool.name.padEnd(10)}  ${tool.version ?? "-"}  ${oneLine(toolState(tool), Infinity)}`);
  const hotspots = report.hotspots
    .slice(0, maxHotspots)
    .map(({ file, complexity, commits }) => `${file}  complexity ${complexity}, ${commits} commits in a year`);
  const parts = [
    findings,
    ["Tools:", ...tools],
    hotspots.length > 0 ? ["Hotspots (complexity times commits):", ...hotspots] : [],
    report.advice.map((advice) => `Not analysed: ${advice}`),
    report.notes.map(oneLine),
    [limitsLine(report)],
    [totalsLine(report)],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(""))
    .join("\n");
}

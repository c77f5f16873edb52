import type { Report } from "../report.ts";
import { limitsLine, position, ruleNames, shownFindings, toolState, totalsLine } from "./report-lines.ts";

/** Comments of code hosts have limits. */
const maxRows = 300;

export function toMarkdown(report: Report): string {
  const shown = shownFindings(report);
  const rows = shown
    .slice(0, maxRows)
    .map((finding) => [position(finding), finding.level, finding.message, ruleNames(finding)]);
  const tools = report.tools
    .filter(({ status }) => status !== "unused")
    .map((tool) => [tool.name, tool.version ?? "", toolState(tool)]);
  const hotspots = report.hotspots.map(({ file, complexity, commits, score }) => [file, complexity, commits, score]);
  const rest = shown.length - maxRows;
  const parts = [
    `# Analysis\n\n${escape(totalsLine(report))}.\n`,
    rows.length > 0 ? `## Findings\n\n${table(["position", "level", "message", "rules"], rows)}` : "",
    rest > 0 ? `${rest} more are in the report as JSON or SARIF.\n` : "",
    `## Tools\n\n${table(["tool", "version", "result"], tools)}`,
    hotspots.length > 0 ? `## Hotspots\n\n${table(["file", "complexity", "commits", "score"], hotspots)}` : "",
    report.advice.map((advice) => `- Not analysed: ${advice}\n`).join(""),
    report.notes.map((note) => `- ${escape(note)}\n`).join(""),
    `${limitsLine(report)}\n`,
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function table(heading: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [heading, heading.map(() => "---"), ...rows.map((row) => row.map((cell) => escape(String(cell))))];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

/** Messages and names of files are data: no markup, no link, no mention. */
function escape(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[\\`*_[\]<>|~#]/g, "\\$&")
    .replaceAll("@", "@\u200b")
    .trim();
}

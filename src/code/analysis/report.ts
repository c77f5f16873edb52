import * as z from "zod";
import { oneLine, pluralize } from "../../shared/format.ts";
import { kinds, type Kind } from "./adapter.ts";
import { toolNames, Finding } from "./finding.ts";

export const ToolRun = z.object({
  name: z.enum(toolNames),
  kinds: z.array(z.enum(kinds)),
  /**
   * ran: its findings count; failed: it crashed, was stopped, or gave no report; missing: expected
   * but not installed.
   */
  status: z.enum(["ran", "failed", "missing"]),
  version: z.string().nullable(),
  /** Null for a tool that ran. */
  why: z.string().nullable(),
  /** Number that the tool itself reported, before findings were joined. */
  findings: z.int(),
  ms: z.int(),
});
export type ToolRun = z.infer<typeof ToolRun>;

export const Report = z.object({
  version: z.literal(1),
  folder: z.string(),
  tools: z.array(ToolRun),
  findings: z.array(Finding),
  totals: z.object({
    error: z.int(),
    warning: z.int(),
    note: z.int(),
    /** Null where nothing was compared. */
    new: z.int().nullable(),
  }),
  /** A commit; null: nothing. */
  comparedWith: z.string().nullable(),
  /** Kinds of which no tool has run, so that nothing is known of them. */
  notCovered: z.array(z.enum(kinds)).default([]),
  /** Reasons why the report is not complete, and limits that did not hold while the tools ran. */
  notes: z.array(z.string()),
});
export type Report = z.infer<typeof Report>;

export function countTotals(findings: readonly Finding[], isCompared: boolean): Report["totals"] {
  const count = (level: Finding["level"]): number => findings.filter((one) => one.level === level).length;
  const fresh = findings.filter(({ isNew }) => isNew === true).length;
  return { error: count("error"), warning: count("warning"), note: count("note"), new: isCompared ? fresh : null };
}

/** Kinds of which no tool has run; none where tools are asked for by name. */
export function notCovered(tools: readonly ToolRun[], only: readonly string[] | null): Kind[] {
  const ran = new Set(tools.filter(({ status }) => status === "ran").flatMap((tool) => tool.kinds));
  // Tools that are asked for by name cover what they can; the other kinds are no question.
  return only === null ? kinds.filter((kind) => !ran.has(kind)) : [];
}

const packages: Readonly<Record<Kind, string>> = {
  types: "typescript",
  lint: "oxlint",
  complexity: "oxlint",
  duplicates: "fallow",
  "dead code": "fallow",
};

function position({ file, range }: Pick<Finding, "file" | "range">): string {
  const column = range?.column === undefined ? "" : `:${range.column}`;
  return range === null ? file : `${file}:${range.line}${column}`;
}

function ruleNames({ tool, rule, others = [] }: Finding): string {
  return [`${tool} ${rule}`, ...others.map((other) => `${other.tool} ${other.rule}`)].join(", ");
}

/** Only the new ones of a comparison. */
function shownFindings({ findings, comparedWith }: Report): readonly Finding[] {
  return comparedWith === null ? findings : findings.filter(({ isNew }) => isNew !== false);
}

function totalsLine({ totals, comparedWith }: Report): string {
  const all = [
    pluralize(totals.error, "error"),
    pluralize(totals.warning, "warning"),
    pluralize(totals.note, "note"),
  ].join(", ");
  if (comparedWith === null) return all;
  return `${totals.new ?? 0} new since ${comparedWith}; ${all} in all`;
}

function toolState({ status, why, findings, ms }: ToolRun): string {
  if (status === "ran") return `${pluralize(findings, "finding")} in ${(ms / 1_000).toFixed(1)} s`;
  return `${status}: ${why ?? ""}`;
}

function adviceLines({ notCovered }: Report): string[] {
  return notCovered.map((kind) => `Not analysed: ${kind}. A tool that does: npm install --save-dev ${packages[kind]}`);
}

/** A report for a terminal: findings first, then what ran. */
export function toText(report: Report): string {
  const findings = shownFindings(report).map(
    (finding) => `${position(finding)}  ${finding.level}  ${oneLine(finding.message)}  [${ruleNames(finding)}]`,
  );
  const tools = report.tools.map(
    (tool) => `${tool.name.padEnd(10)}  ${tool.version ?? "-"}  ${oneLine(toolState(tool))}`,
  );
  const parts = [
    findings,
    ["Tools:", ...tools],
    adviceLines(report),
    report.notes.map((note) => oneLine(note)),
    [totalsLine(report)],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(""))
    .join("\n");
}

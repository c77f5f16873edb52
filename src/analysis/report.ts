import * as z from "zod";
import { compare } from "../shared/compare.ts";
import { kinds, toolNames, type FileComplexity, type Kind } from "./adapter.ts";
import { Finding } from "./finding.ts";

export const ToolRun = z.object({
  name: z.enum(toolNames),
  kinds: z.array(z.enum(kinds)),
  /**
   * ran: its findings count; failed: it crashed, was stopped, or gave no report; missing: expected
   * but not installed; untrusted: would run code of a project that is not trusted; unused: the
   * project does not use it.
   */
  status: z.enum(["ran", "failed", "missing", "untrusted", "unused"]),
  version: z.string().nullable(),
  /** Null for a tool that ran. */
  why: z.string().nullable(),
  /** Number that the tool itself reported, before findings were joined. */
  findings: z.int(),
  ms: z.int(),
});
export type ToolRun = z.infer<typeof ToolRun>;

export const Hotspot = z.object({
  file: z.string(),
  complexity: z.int(),
  commits: z.int(),
  lines: z.int(),
  score: z.int(),
});
export type Hotspot = z.infer<typeof Hotspot>;

/** Limits that held while the tools ran. */
export const Limits = z.object({
  network: z.enum(["blocked", "open"]),
  memory: z.enum(["process", "node"]),
  memoryMb: z.int(),
  timeMs: z.int(),
});
export type Limits = z.infer<typeof Limits>;

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
  comparedWith: z.object({ kind: z.enum(["baseline", "commit"]), name: z.string() }).nullable(),
  hotspots: z.array(Hotspot),
  /** Kinds of which no tool has run, so that nothing is known of them. */
  notCovered: z.array(z.enum(kinds)).default([]),
  /** Packages to install for the kinds that no tool covered. */
  advice: z.array(z.string()),
  /** Reasons why the report is not complete. */
  notes: z.array(z.string()),
  limits: Limits,
});
export type Report = z.infer<typeof Report>;

export function countTotals(findings: readonly Finding[], isCompared: boolean): Report["totals"] {
  const count = (level: Finding["level"]): number => findings.filter((one) => one.level === level).length;
  const fresh = findings.filter(({ isNew }) => isNew === true).length;
  return { error: count("error"), warning: count("warning"), note: count("note"), new: isCompared ? fresh : null };
}

const packages: Readonly<Record<(typeof kinds)[number], string>> = {
  types: "typescript",
  lint: "oxlint",
  complexity: "oxlint",
  duplicates: "fallow",
  "dead code": "fallow",
};

/** [AN101] Kinds of which no tool has run; none where tools are asked for by name. */
export function notCovered(tools: readonly ToolRun[], only: readonly string[] | null): Kind[] {
  const ran = new Set(tools.filter(({ status }) => status === "ran").flatMap((tool) => tool.kinds));
  // Tools that are asked for by name cover what they can; the other kinds are no question.
  return only === null ? kinds.filter((kind) => !ran.has(kind)) : [];
}

/**
 * [AN3] What to do for each kind that no tool covered: add a package, or set up the one that is
 * there.
 */
export function adviceFor(tools: readonly ToolRun[], isInstalled: (packageName: string) => boolean): string[] {
  const lacking = notCovered(tools, null).map((kind): [string, string] => {
    const stopped = tools.find((one) => ["failed", "untrusted"].includes(one.status) && one.kinds.includes(kind));
    if (stopped) return [`${stopped.name} ${stopped.status === "failed" ? "failed" : "was not run"}`, kind];
    const name = packages[kind];
    if (!isInstalled(name)) return [`no tool is installed; \`npm install --save-dev ${name}\` adds one`, kind];
    const why = tools.find((one) => one.kinds.includes(kind) && one.why !== null)?.why;
    return [`${name} is installed, but not used: ${why ?? "it is not set up"}`, kind];
  });
  const byReason = Map.groupBy(lacking, ([reason]) => reason);
  return [...byReason].map(([reason, found]) => `${found.map(([, kind]) => kind).join(" and ")}: ${reason}`);
}

export interface FileChurn {
  readonly commits: number;
  /** Added and deleted. */
  readonly lines: number;
}

/** Parses `git log -z --numstat --no-renames --format=`: one record for each file of a commit. */
export function parseChurn(text: string): Map<string, FileChurn> {
  const churn = new Map<string, FileChurn>();
  for (const record of text.split("\0")) {
    const [, added, deleted, file] = /^\s*(\d+|-)\t(\d+|-)\t([\s\S]+)$/.exec(record) ?? [];
    if (file === undefined) continue;
    const { commits, lines } = churn.get(file) ?? { commits: 0, lines: 0 };
    // Binary files have no lines.
    const changed = [added, deleted].reduce((sum, count) => sum + (Number(count) || 0), 0);
    churn.set(file, { commits: commits + 1, lines: lines + changed });
  }
  return churn;
}

const maxHotspots = 20;

/** [AN10] Files by complexity times commits; a file without either is none. */
export function findHotspots(
  complexities: readonly FileComplexity[],
  churn: ReadonlyMap<string, FileChurn>,
): Hotspot[] {
  const hotspots = complexities.flatMap(({ file, complexity }) => {
    const changes = churn.get(file);
    return changes && complexity > 0 ? [{ file, complexity, ...changes, score: complexity * changes.commits }] : [];
  });
  return hotspots.toSorted((a, b) => b.score - a.score || compare(a.file, b.file)).slice(0, maxHotspots);
}

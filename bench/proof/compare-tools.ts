import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import type { ToolName } from "../../src/code/analysis/adapter.ts";
import { adapters } from "../../src/code/analysis/adapters/adapters.ts";
import type { Report } from "../../src/code/analysis/report.ts";
import { openProject } from "../../src/code/tool-runner/project-folder.ts";

export interface ToolComparison {
  readonly tool: string;
  /** What the tool prints when it is run by itself. */
  readonly alone: number;
  /** Rules whose counts differ: `rule: alone, in the report`. */
  readonly differences: readonly string[];
}

/** Runs each tool of a report by itself with the same arguments, and counts its output by rule. */
export function compareTools(root: string, report: Report): ToolComparison[] {
  const ran = report.tools.filter(({ status }) => status === "ran");
  return ran.map(({ name }) => {
    const alone = countAlone(root, name);
    const reported = countReported(report, name);
    const rules = [...new Set([...alone.keys(), ...reported.keys()])].toSorted();
    const differences = rules
      .filter((rule) => alone.get(rule) !== reported.get(rule))
      .map((rule) => `${rule}: ${alone.get(rule) ?? 0}, ${reported.get(rule) ?? 0}`);
    return { tool: name, alone: sum(alone), differences };
  });
}

/** Findings that several tools report, by the tools. */
export function joinedFindings({ findings }: Report): Map<string, number> {
  const joined = findings.filter(({ others = [] }) => others.length > 0);
  return countBy(joined.map(({ tool, others = [] }) => [tool, ...others.map((other) => other.tool)].join(" + ")));
}

/** As before findings were joined. */
function countReported({ findings }: Report, tool: string): Map<string, number> {
  const all = findings.flatMap((one) => [one, ...(one.others ?? [])]);
  return countBy(all.filter((one) => one.tool === tool).map(({ rule }) => rule));
}

function countAlone(root: string, name: ToolName): Map<string, number> {
  const project = openProject(root);
  const adapter = adapters.find((one) => one.name === name);
  const detected = adapter?.detect(project);
  if (adapter === undefined || detected?.kind !== "ready") throw new Error(`${name} is not ready in ${root}`);
  const scratch = mkdtempSync(join(tmpdir(), "shim-proof-"));
  try {
    const writeScratch = (file: string, text: string): string => {
      writeFileSync(join(scratch, file), text);
      return join(scratch, file);
    };
    const { args } = adapter.command({ project, isTrusted: true, scratch, writeScratch });
    const { path, isScript } = detected.tool;
    const words = isScript ? [process.execPath, path, ...args] : [path, ...args];
    const [program = path, ...rest] = words;
    const { stdout } = spawnSync(program, rest, { cwd: root, encoding: "utf8", maxBuffer: 200_000_000 });
    return countBy(readers[name]?.(stdout) ?? []);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const Oxlint = z.object({ diagnostics: z.array(z.object({ code: z.string(), message: z.string() })) });
const Knip = z.object({ issues: z.array(z.record(z.string(), z.unknown())) });
const Fallow = z.object({
  check: z.object({ summary: z.record(z.string(), z.number()) }),
  dupes: z.object({ stats: z.object({ clone_groups: z.number() }) }),
  health: z.object({ summary: z.object({ functions_above_threshold: z.number() }) }),
});

/** The rule of each finding, read otherwise than SHIM does. */
const readers: Readonly<Partial<Record<ToolName, (stdout: string) => readonly string[]>>> = {
  tsc: (stdout) => [...stdout.matchAll(/^\S.*?\berror (TS\d+):/gm)].map(([, rule = ""]) => rule),
  oxlint: (stdout) => Oxlint.parse(JSON.parse(stdout)).diagnostics.map(({ code }) => code),
  complexity: (stdout) => {
    const values = Oxlint.parse(JSON.parse(stdout)).diagnostics.map(
      ({ message }) => /\d+/.exec(message.slice(message.indexOf("complexity of")))?.[0],
    );
    return values.filter((value) => Number(value) > 10).map(() => "complexity");
  },
  knip: (stdout) =>
    Knip.parse(JSON.parse(stdout)).issues.flatMap((issue) =>
      Object.entries(issue).flatMap(([rule, found]) =>
        Array.isArray(found) && rule !== "owners" ? found.map(() => rule) : [],
      ),
    ),
  fallow: (stdout) => {
    const { check, dupes, health } = Fallow.parse(JSON.parse(stdout));
    const { total_issues: _, ...byRule } = check.summary;
    const rules = Object.entries(byRule).flatMap(([rule, count]) =>
      times(count, rule.replaceAll("_", "-").replace(/ies$/, "y").replace(/s$/, "")),
    );
    const clones = times(dupes.stats.clone_groups, "code-duplication");
    return [...rules, ...clones, ...times(health.summary.functions_above_threshold, "complexity")];
  },
};

function times(count: number, rule: string): string[] {
  return Array.from({ length: count }, () => rule);
}

function countBy(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

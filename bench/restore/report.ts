import { printTable, type Row } from "../figures.ts";
import { weights } from "./facts.ts";
import type { Measured } from "./measure.ts";

/** The targets of the bench. */
const targets = { recall: 0.95, mostTokens: 2_000, medianTokens: 1_000 } as const;

interface Summary {
  readonly sessions: number;
  readonly withBrief: number;
  readonly recallMean: number;
  readonly recallMin: number;
  readonly falseStatements: number;
  readonly tokensMedian: number;
  readonly tokensMax: number;
}

export function summarize(sessions: readonly Measured[]): Summary {
  const recalls = sessions.map(({ recall }) => recall);
  const tokens = sessions
    .filter(({ tokens }) => tokens > 0)
    .map(({ tokens }) => tokens)
    .toSorted((a, b) => a - b);
  return {
    sessions: sessions.length,
    withBrief: tokens.length,
    recallMean: mean(recalls),
    recallMin: Math.min(...recalls),
    falseStatements: sessions.reduce((sum, { falseStatements }) => sum + falseStatements.length, 0),
    tokensMedian: median(tokens),
    tokensMax: tokens.at(-1) ?? 0,
  };
}

/** A line per kind, and one for all. */
export function tableOfKinds(sessions: readonly Measured[]): string {
  const kinds = [...new Set(sessions.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => rowOf(kind, summarize(sessions.filter((one) => one.kind === kind))));
  return [
    "| kind | sessions | recall, mean | recall, least | false | tokens, median | tokens, most |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
    rowOf("all", summarize(sessions)),
  ].join("\n");
}

function rowOf(kind: string, all: Summary): string {
  const figures = [kind, all.sessions, percent(all.recallMean), percent(all.recallMin), all.falseStatements];
  return `| ${[...figures, all.tokensMedian, all.tokensMax].join(" | ")} |`;
}

/** How much of what was planted came back, by what it is. */
export function tableOfFacts(sessions: readonly Measured[]): string {
  const findings = sessions.flatMap(({ findings }) => findings);
  const kinds = [...new Set(findings.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const own = findings.filter((finding) => finding.kind === kind);
    return `| ${kind} | ${weights[kind]} | ${own.length} | ${percent(mean(own.map(({ isFound }) => Number(isFound))))} |`;
  });
  return ["| fact | weight | planted | recall |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

export function printTargets(sessions: readonly Measured[]): void {
  const all = summarize(sessions);
  const row = (name: string, figure: string, goal: string, isReached: boolean): Row => {
    return { group: "restore", n: sessions.length, name, figure, goal, isReached };
  };
  printTable([
    row("weighted recall", percent(all.recallMean), ">= 95 %", all.recallMean >= targets.recall),
    row("false statements", String(all.falseStatements), "0", all.falseStatements === 0),
    row("tokens of a brief, most", String(all.tokensMax), "<= 2,000", all.tokensMax <= targets.mostTokens),
    row("tokens of a brief, median", String(all.tokensMedian), "< 1,000", all.tokensMedian < targets.medianTokens),
  ]);
}

/** Each fact that did not come back and each false statement, with its session. */
export function failures(sessions: readonly Measured[]): string[] {
  return sessions.flatMap((one) => [
    ...(one.tokens === 0 ? [`${one.name} (${one.ended}): no brief`] : []),
    ...one.findings.filter(({ isFound }) => !isFound).map(({ fact }) => `${one.name} (${one.ended}): missing: ${fact}`),
    ...one.falseStatements.map(({ fact, why, line }) => `${one.name}: FALSE: ${why}: ${fact}\n    ${line}`),
  ]);
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  return Math.round(((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

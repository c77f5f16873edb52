import { mean, median, quantile } from "simple-statistics";
import { Random } from "../restore/random.ts";
import { cutKinds } from "./cuts.ts";
import { sessionLengths, type MeasuredCut } from "./measured.ts";
import { ways, type Way } from "./play.ts";
import { sessionClients } from "./session-events.ts";
import { languages } from "./text-match.ts";

const resamples = 1_000;
const interval = [0.025, 0.975] as const;

type Cuts = readonly MeasuredCut[];

interface Group {
  readonly title: string;
  readonly cuts: Cuts;
}

interface Measure {
  readonly title: string;
  /** Null: the cut has none of it. */
  readonly valueOf: (cut: MeasuredCut) => number | null;
  readonly statistic: (values: number[]) => number;
  readonly format: (value: number) => string;
}

const percent = (value: number): string => `${Math.round(value * 100)} %`;
const whole = (value: number): string => Math.round(value).toLocaleString("en");
const p90 = (values: number[]): number => quantile(values, 0.9);

function shareOf(title: string, valueOf: Measure["valueOf"]): Measure {
  return { title, valueOf, statistic: mean, format: percent };
}

const recall: readonly Measure[] = [
  shareOf("files edited next that it names", (cut) => cut.filesNext),
  shareOf("last substantial request", (cut) => cut.lastRequest),
  shareOf("older prompts", (cut) => cut.olderPrompts),
  shareOf("the chat's last words", (cut) => cut.lastWords),
  shareOf("how much of an approved answer", (cut) => cut.approvedAnswer),
  shareOf("outcomes of commands", (cut) => cut.outcomes),
];
const faults: readonly Measure[] = [
  shareOf("briefs with harness text", (cut) => cut.harnessText),
  shareOf("briefs with a false statement", (cut) => Number(cut.falseClaims.length > 0)),
];
const most: Measure = {
  title: "false statements of one brief, most",
  valueOf: (cut) => cut.falseClaims.length,
  statistic: (values) => values.reduce((a, b) => Math.max(a, b), 0),
  format: whole,
};
const all: readonly Measure[] = [
  shareOf("refused", (cut) => cut.isRefused),
  ...recall.slice(0, 2),
  shareOf("how much of that request", (cut) => cut.lastRequestShare),
  ...recall.slice(2),
  ...faults,
  most,
  shareOf("lines on older work, of those on the chat's work", (cut) => cut.oldLines),
  { title: "tokens, median", valueOf: (cut) => cut.tokens, statistic: median, format: whole },
  { title: "tokens, p90", valueOf: (cut) => cut.tokens, statistic: p90, format: whole },
  { title: "processor ms of a brief, median", valueOf: briefMs, statistic: median, format: whole },
  { title: "processor ms of a brief, p90", valueOf: briefMs, statistic: p90, format: whole },
  { title: "processor ms of an import per MB, median", valueOf: msPerMegabyte, statistic: median, format: whole },
  { title: "processor ms of an import per MB, p90", valueOf: msPerMegabyte, statistic: p90, format: whole },
];

/** Smaller files cost what starting costs. */
const leastMegabytes = 0.2;

function briefMs(cut: MeasuredCut): number | null {
  return cut.isRefused === 1 ? null : cut.briefMs;
}

function msPerMegabyte({ importMs, megabytes }: MeasuredCut): number | null {
  return importMs === null || megabytes < leastMegabytes ? null : importMs / megabytes;
}

/** Markdown, as in docs/benchmarks.md: by client, then by kind of cut, language and length of the session. */
export function report(cuts: Cuts, seed: number): string {
  const byClient = sessionClients.flatMap((client) =>
    ways.map((way) => groupOf(`${client}, ${way}`, cuts, (cut) => cut.client === client && cut.way === way)),
  );
  const wholeTable = tableOf([{ title: "all", cuts }, ...byClient].filter(isFilled), all, seed);
  const kinds = ways.map((way) => {
    const ofWay = cuts.filter((cut) => cut.way === way);
    return `By kind of cut and session, ${way}:\n\n${tableOfKinds(ofWay, seed)}`;
  });
  return [wholeTable, ...kinds, `False statements: ${claimCounts(cuts)}.`].join("\n\n");
}

function groupOf(title: string, cuts: Cuts, has: (cut: MeasuredCut) => boolean): Group {
  return { title, cuts: cuts.filter(has) };
}

function isFilled({ cuts }: Group): boolean {
  return cuts.length > 0;
}

function tableOf(groups: readonly Group[], measures: readonly Measure[], seed: number): string {
  const sizes = groups.map(({ cuts }) => `${cuts.length} (${sessionsOf(cuts).length})`);
  const rows = measures.map((measure) => [measure.title, ...groups.map(({ cuts }) => cell(cuts, measure, seed))]);
  return markdown([["", ...groups.map(({ title }) => title)], ["cuts (sessions)", ...sizes], ...rows]);
}

function tableOfKinds(cuts: Cuts, seed: number): string {
  const groups = [
    ...cutKinds.map((kind) => groupOf(kind, cuts, (cut) => cut.cut === kind)),
    groupOf("compacted before", cuts, (cut) => cut.isCompacted),
    ...languages.map((name) => groupOf(name, cuts, (cut) => cut.language === name)),
    ...sessionLengths.map((name) => groupOf(name, cuts, (cut) => cut.length === name)),
  ].filter(isFilled);
  const measures = [...recall, ...faults];
  const rows = groups.map(({ title, cuts: some }) => {
    const size = `${some.length} (${sessionsOf(some).length})`;
    return [title, size].concat(measures.map((measure) => cell(some, measure, seed)));
  });
  return markdown([["", "cuts (sessions)", ...measures.map(({ title }) => title)], ...rows]);
}

function markdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function sessionsOf(cuts: Cuts): number[] {
  return [...new Set(cuts.map(({ session }) => session))];
}

/** The statistic with its interval of 95 %, over sessions drawn with replacement; and of how many cuts, if not of all. */
function cell(cuts: Cuts, { valueOf, statistic, format }: Measure, seed: number): string {
  const bySession = sessionsOf(cuts)
    .map((session) => cuts.flatMap((cut) => (cut.session === session ? (valueOf(cut) ?? []) : [])))
    .filter((values) => values.length > 0);
  if (bySession.length === 0) return "";
  const random = new Random(seed);
  const drawn = Array.from({ length: resamples }, () =>
    statistic(Array.from(bySession, () => random.pick(bySession)).flat()),
  );
  const values = bySession.flat();
  const [low, high] = interval.map((share) => format(quantile(drawn, share)));
  const count = values.length === cuts.length ? "" : ` of ${values.length}`;
  return `${format(statistic(values))} (${low} to ${high})${count}`;
}

function claimCounts(cuts: Cuts): string {
  const counts = new Map<string, number>();
  const count = (way: Way, claim: string): void => {
    const key = `${claim} (${way})`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  for (const { way, falseClaims } of cuts) for (const claim of falseClaims) count(way, claim);
  const texts = [...counts].toSorted(([, a], [, b]) => b - a).map(([claim, n]) => `${n} x ${claim}`);
  return texts.length === 0 ? "none" : texts.join(", ");
}

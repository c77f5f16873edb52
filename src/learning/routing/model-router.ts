import type { Json } from "../../contract/values.ts";
import type { Band, Route, Tier, TierCounts } from "../../contract/model-routes.ts";
import { Job, type WorkKind } from "../../contract/plans.ts";
import { estimateComplexity, type ComplexityReason } from "../../shared/complexity.ts";

interface Analysis {
  /** The kind of work with the most points; null: nothing names one. */
  readonly kind: WorkKind | null;
  /** 1 to 10. */
  readonly complexity: number;
  /** none: nothing was found that says how hard it is, which is not the same as simple. */
  readonly evidence: "none" | "weak" | "strong";
}

const maxDepth = 6;
const maxChars = 200_000;
const maxFiles = 200;

/** Pure: the same text, the same answer; asks no model and keeps no text. */
export function analyzeTask(payload: Json): Analysis {
  const job = Job.safeParse(payload);
  return analyze(job.success ? job.data : { title: "", text: textsOf(payload), files: [], kinds: [], payload: null });
}

/** The texts of a payload, one a line. */
function textsOf(value: Json, depth = 0): string {
  if (typeof value === "string") return value;
  if (depth > maxDepth || value === null || typeof value !== "object") return "";
  return Object.values(value)
    .map((part) => textsOf(part, depth + 1))
    .filter((text) => text !== "")
    .join("\n");
}

// Repeats are bounded or of one character class: the text is untrusted.
const path = /(?:[\w@.-]{1,100}\/){1,30}[\w@.-]{1,100}\.[A-Za-z]\w{0,9}/g;

/** Pure. Files and kinds that were stated count beside those that the text names. */
function analyze({ title, text, files, kinds, payload }: Job): Analysis {
  const written = withoutCode(text.slice(0, maxChars));
  const named = (written.match(path) ?? []).slice(0, maxFiles);
  const paths = [...new Set([...files.map((file) => file.path), ...named])];
  const { score, reasons } = estimateComplexity({
    title,
    text: written.replaceAll(path, " "),
    files: paths.map((one) => ({ path: one, weight: 1 })),
    kinds,
    payload,
  });
  const signals = reasons.map(({ signal }) => signal);
  // Length alone says little: a long text may be a log.
  const signs = new Set<string>(signals.filter((signal) => signal !== "textChars" && signal !== "payloadChars"));
  if (paths.length > 0) signs.add("paths");
  const isStrong = kinds.length > 0 || signs.size >= 2;
  return {
    kind: signals.find(isKind) ?? null,
    complexity: score,
    evidence: isStrong ? "strong" : signals.length + signs.size > 0 ? "weak" : "none",
  };
}

const workKinds: ReadonlySet<string> = new Set<WorkKind>(["refactor", "migrate", "test", "fix", "document"]);

function isKind(signal: ComplexityReason["signal"]): signal is WorkKind {
  return workKinds.has(signal);
}

/** The lines between fences are left out; an open fence reaches to the end. */
function withoutCode(text: string): string {
  let isCode = false;
  const lines = text.split("\n").filter((line) => {
    const isFence = /^[ \t]{0,20}(?:```|~~~)/.test(line);
    if (isFence) isCode = !isCode;
    return !isFence && !isCode;
  });
  return lines.join("\n");
}

/** Pure; randomness is passed in. */

export interface RouteTable {
  /** Cheapest first; the last one is the best. */
  readonly tiers: readonly Tier[];
  /** Name of the tier that does a task of which nothing else is known. */
  readonly default: string;
  /** Share of first attempts that try a cheaper tier of which too little is known. */
  readonly exploration: number;
  /** Least acceptable rate of success, as a share of the default tier's. */
  readonly acceptable: number;
}

/** With fewer attempts no tier is proven worse. */
const minTried = 20;

/** Complexity from which no tier below the default is chosen. */
const complexFrom = 6;

/** The tasks among which tiers are compared. */
export function bandOf({ evidence, complexity }: Analysis): Band {
  if (evidence === "none") return "unknown";
  if (complexity >= complexFrom) return "complex";
  return evidence === "weak" ? "weak" : "usual";
}

/**
 * Tier of a first attempt: the cheapest that is proven good enough, else
 * the default one.
 *
 * @param counts of the type in all bands; null: the coordinator did not answer
 * @param random uniform from 0 to 1, 1 excluded
 */
export function chooseRoute(
  table: RouteTable,
  band: Band,
  counts: readonly TierCounts[] | null,
  random: () => number,
): Route {
  const standard = indexOf(table, table.default);
  if (band === "unknown") return toRoute(table, standard, band, "no_evidence");
  if (counts === null) return toRoute(table, standard, band, "no_counts");
  const countsAt = (at: number): Counts => countsOf(table, at, band, counts);
  const least = table.acceptable * successBounds(countsAt(standard)).high;
  const isProven = (at: number): boolean => successBounds(countsAt(at)).low >= least;
  const isWorse = (at: number): boolean => countsAt(at).tried >= minTried && successBounds(countsAt(at)).high < least;
  // Weak evidence goes one tier below the default at most, a complex task none.
  const lowest = { complex: standard, weak: Math.max(0, standard - 1), usual: 0 }[band];
  const cheaper = Array.from({ length: standard - lowest }, (_, index) => lowest + index);
  const open = cheaper.filter((at) => !isProven(at) && !isWorse(at));
  const explored = random() < table.exploration ? open[Math.floor(random() * open.length)] : undefined;
  if (explored !== undefined) return toRoute(table, explored, band, "explored");
  return toRoute(table, cheaper.find(isProven) ?? standard, band, "chosen");
}

/** After a failed or stalled attempt: one tier up, the top one again. */
export function escalate(table: RouteTable, previous: Route): Route {
  const before = table.tiers.findIndex(({ name }) => name === previous.tier);
  const top = table.tiers.length - 1;
  const from = before === -1 ? indexOf(table, table.default) : before;
  return toRoute(table, Math.min(from + 1, top), previous.band, from === top ? "retried" : "escalated");
}

/** Whether there is a tier above this one. */
export function hasHigherTier({ tiers }: RouteTable, { tier }: Pick<Route, "tier">): boolean {
  return tiers.at(-1)?.name !== tier;
}

function indexOf({ tiers }: RouteTable, name: string): number {
  const at = tiers.findIndex((tier) => tier.name === name);
  if (at === -1) throw new Error(`there is no tier ${name}`);
  return at;
}

function toRoute({ tiers }: RouteTable, at: number, band: Band, reason: Route["reason"]): Route {
  const tier = tiers[at];
  if (!tier) throw new Error(`there is no tier ${at}`);
  return { tier: tier.name, model: tier.model, effort: tier.effort ?? null, band, reason, isCounted: true };
}

type Counts = Pick<TierCounts, "tried" | "succeeded">;

/** Attempts of another model or effort are of another tier. */
function countsOf({ tiers }: RouteTable, at: number, band: Band, counts: readonly TierCounts[]): Counts {
  const { name, model, effort = null } = tiers[at] ?? {};
  const found = counts.find(
    (one) => one.tier === name && one.model === model && one.effort === effort && one.band === band,
  );
  return found ?? { tried: 0, succeeded: 0 };
}

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** 90 % at each side. */
const z = 1.281_551_565_5;

/** Wilson's bounds of a rate of success. */
function successBounds({ succeeded, tried }: Counts): Bounds {
  if (tried === 0) return { low: 0, high: 1 };
  const rate = succeeded / tried;
  const shrink = z ** 2 / tried;
  const middle = rate + shrink / 2;
  const margin = z * Math.sqrt((rate * (1 - rate)) / tried + shrink / (4 * tried));
  return { low: Math.max(0, (middle - margin) / (1 + shrink)), high: Math.min(1, (middle + margin) / (1 + shrink)) };
}

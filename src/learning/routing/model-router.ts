import type { LikePrompts } from "../../contract/machine/learning.ts";
import type { Json } from "../../contract/values.ts";
import type { Band, Route, Tier, TierCounts } from "../../contract/model-routes.ts";
import { Job } from "../../contract/plans.ts";
import { folderOf } from "../../shared/complexity.ts";
import { areLikeOnesSmall } from "./like-prompts.ts";

const maxDepth = 6;
const maxChars = 200_000;
const maxFiles = 200;

/** From so many on, a task is complex, whatever it is about. */
const complexFrom = { files: 6, folders: 4, listItems: 8, chars: 6_000, kinds: 2 } as const;

/**
 * The tasks among which tiers are compared, by the form of a payload (files, lists and length are
 * the same in every language) and by what came of earlier prompts like it. That a text names a file
 * says nothing: of recorded prompts those that do were as often much work as the others. Pure.
 *
 * @param past of the text that it is given, where the form says nothing
 */
export function bandOf(payload: Json, past: (text: string) => LikePrompts): Band {
  const { text, files, kinds } = jobOf(payload);
  const written = withoutCode(text.slice(0, maxChars));
  const named = (written.match(path) ?? []).slice(0, maxFiles);
  const paths = [...new Set([...files.map((file) => file.path), ...named])];
  const sizes: Readonly<Record<keyof typeof complexFrom, number>> = {
    files: paths.length,
    folders: new Set(paths.map((one) => folderOf(one))).size,
    listItems: written.match(listItem)?.length ?? 0,
    chars: written.length,
    kinds: kinds.length,
  };
  const names = Object.keys(complexFrom) as (keyof typeof complexFrom)[];
  if (names.some((name) => sizes[name] >= complexFrom[name])) return "complex";
  if (files.length > 0 || kinds.length > 0) return "usual";
  return areLikeOnesSmall(past(text)) ? "alike" : "unknown";
}

/** A payload that states no job is one by its texts. */
export function jobOf(payload: Json): Pick<Job, "text" | "files" | "kinds"> {
  const job = Job.safeParse(payload);
  return job.success ? job.data : { text: textsOf(payload), files: [], kinds: [] };
}

/** The texts of a payload, one a line. */
export function textsOf(value: Json, depth = 0): string {
  if (typeof value === "string") return value;
  if (depth > maxDepth || value === null || typeof value !== "object") return "";
  return Object.values(value)
    .map((part) => textsOf(part, depth + 1))
    .filter((text) => text !== "")
    .join("\n");
}

// Repeats are bounded or of one character class: the text is untrusted.
const path = /(?:[\w@.-]{1,100}\/){1,30}[\w@.-]{1,100}\.[A-Za-z]\w{0,9}/g;

const listItem = /^[ \t]{0,20}(?:[-*+•]|\d{1,3}[.)])[ \t]/gm;

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
  const lowest = band === "complex" ? standard : 0;
  const cheaper = Array.from({ length: standard - lowest }, (_, index) => lowest + index);
  const open = cheaper.filter((at) => !isProven(at) && !isWorse(at));
  const explored = random() < table.exploration ? open[Math.floor(random() * open.length)] : undefined;
  if (explored !== undefined) return toRoute(table, explored, band, "explored");
  return toRoute(table, cheaper.find(isProven) ?? standard, band, "chosen");
}

/** After a failed attempt: one tier up, the top one again. */
export function escalate(table: RouteTable, previous: Route): Route {
  const before = table.tiers.findIndex(({ name }) => name === previous.tier);
  const top = table.tiers.length - 1;
  const from = before === -1 ? indexOf(table, table.default) : before;
  return toRoute(table, Math.min(from + 1, top), previous.band, from === top ? "retried" : "escalated");
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

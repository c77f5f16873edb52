import { sum } from "simple-statistics";
import type { MachineTrial } from "../../contract/learning.ts";
import { oneLine } from "../../shared/format.ts";
import { wordsOf } from "./trials.ts";

/** ISO 8601 weeks in UTC: from Monday, and of the year that has their Thursday. */
export interface Week {
  /** Such as 2026-W47. */
  readonly name: string;
  /** Epoch ms, inclusive. */
  readonly from: number;
  /** Epoch ms, exclusive. */
  readonly until: number;
}

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;
/** The epoch began on a Thursday. */
const firstMonday = -3 * dayMs;

export function weekOf(at: number): Week {
  const from = Math.floor((at - firstMonday) / weekMs) * weekMs + firstMonday;
  const year = new Date(from + 3 * dayMs).getUTCFullYear();
  const number = Math.floor((from + 3 * dayMs - Date.UTC(year, 0, 1)) / weekMs) + 1;
  return { name: `${year}-W${String(number).padStart(2, "0")}`, from, until: from + weekMs };
}

/** Returns null where no week has that name. */
export function findWeek(name: string): Week | null {
  const [, year, number] = /^(\d{4})-W(\d{2})$/.exec(name) ?? [];
  if (year === undefined || number === undefined) return null;
  // The fourth of January is always in the first week.
  const week = weekOf(Date.UTC(Number(year), 0, 4) + (Number(number) - 1) * weekMs);
  return week.name === name ? week : null;
}

/** All figures are of the chats that died in the week, each once. */
interface Died {
  readonly chats: number;
  /** More than the chats, where one was resumed and died again. */
  readonly deaths: number;
  /** Outcomes until the report: the four add up to the chats. */
  readonly continued: number;
  readonly resumed: number;
  readonly dismissed: number;
  readonly open: number;
  /** Offered to a chat, or taken by one. */
  readonly offered: number;
  /** Chats that were offered one of them, or took it. */
  readonly offeredTo: number;
}

export interface WeeklyFacts {
  readonly week: Week;
  readonly sessions: number;
  /** Chats that died in the week, by the cause of their last death in it. */
  readonly causes: readonly { readonly cause: string; readonly chats: number; readonly unsavedCalls: number }[];
  readonly died: Died;
  /** Mean score of the briefs of those chats that were offered, 0 to 100; null: none. */
  readonly meanScore: number | null;
  readonly checkpoints: { readonly count: number; readonly bytes: number };
  /** Dollars by model, as the clients report them. */
  readonly costs: readonly { readonly model: string; readonly dollars: number }[];
  readonly steps: readonly { readonly at: number; readonly text: string; readonly why: string }[];
}

export function stepsInWeek(
  { from, until }: WeeklyFacts["week"],
  { key, from: before, to, reason: why, steps }: MachineTrial,
): WeeklyFacts["steps"] {
  return steps
    .filter(({ at }) => at >= from && at < until)
    .map(({ at, state, note }) => ({ at, text: `\`${key}\` ${before} -> ${to}: ${wordsOf(state)} (${note})`, why }));
}

const causeWords: Readonly<Record<string, string>> = {
  closed: "the terminal or the client was closed",
  killed: "killed",
  out_of_memory: "out of memory",
  context_full: "the context was full",
  usage_limit: "a usage limit was reached",
  unknown: "cause not known",
};

/** Markdown. @param ideas the best first; null: they are not of this week */
export function weeklyReport(facts: WeeklyFacts, ideas: readonly string[] | null): string {
  const { week, steps } = facts;
  return [
    `# SHIM, ${week.name}`,
    `${day(week.from)} to ${day(week.until - 1)}, UTC.`,
    summary(facts),
    "## What died",
    causeTable(facts),
    "## What was saved",
    saved(facts),
    "## What was lost",
    lost(facts),
    "## What it cost",
    cost(facts),
    "## What SHIM changed, and why",
    steps.length === 0
      ? "Nothing."
      : steps.map(({ at, text, why }) => oneLine(`- ${day(at)}: ${text}. Why: ${why}.`)).join("\n"),
    ...(ideas === null ? [] : ["## What could be better", ideasText(ideas)]),
    "",
  ].join("\n\n");
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function summary(facts: WeeklyFacts): string {
  const { chats: dead, deaths, continued, resumed, dismissed, open } = facts.died;
  const dollars = sum(facts.costs.map((one) => one.dollars));
  const money = facts.costs.length === 0 ? "" : ` They cost $${dollars.toFixed(2)}.`;
  if (facts.sessions === 0) return "**No chat worked on this machine.**";
  if (dead === 0) return `**${count(facts.sessions, "chat")}, and none died.**${money}`;
  const times = deaths > dead ? ` (${count(deaths, "death")})` : "";
  const became = `${continued} continued by another chat, ${resumed} resumed, ${dismissed} dismissed, ${open} open`;
  return `**Of ${count(facts.sessions, "chat")} ${dead} died${times}: ${became}.**${money}`;
}

function causeTable({ causes }: WeeklyFacts): string {
  if (causes.length === 0) return "Nothing.";
  const rows = causes.map(
    ({ cause, chats, unsavedCalls }) => `| ${causeWords[cause] ?? cause} | ${chats} | ${unsavedCalls} |`,
  );
  return [
    "| cause (of the last death) | chats | tool calls since the last checkpoint |",
    "| --- | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function saved({ checkpoints, died: { chats, offered, offeredTo }, meanScore }: WeeklyFacts): string {
  const score =
    meanScore === null
      ? ""
      : ` with a mean restore score of ${Math.round(meanScore)} of 100 (prompts quoted, the end of the conversation there, files as left)`;
  return [
    `- ${count(checkpoints.count, "checkpoint")} of this week are kept, ${(checkpoints.bytes / 1e6).toFixed(1)} MB before compression.`,
    `- ${offered} of the ${count(chats, "chat")} that died ${offered === 1 ? "was" : "were"} offered to ${count(offeredTo, "chat")}${score}.`,
  ].join("\n");
}

function lost({ causes }: WeeklyFacts): string {
  const calls = sum(causes.map(({ unsavedCalls }) => unsavedCalls));
  return `- ${count(calls, "tool call")} of the chats that died ${calls === 1 ? "was" : "were"} in no checkpoint. On this machine the journal has them; another machine lacks them.`;
}

function cost({ costs }: WeeklyFacts): string {
  if (costs.length === 0) return "No client reported a cost.";
  return costs.map(({ model, dollars }) => `- ${model}: $${dollars.toFixed(2)}`).join("\n");
}

function ideasText(ideas: readonly string[]): string {
  if (ideas.length === 0) return "The records show nothing that should change.";
  return ideas.map((text) => `- ${oneLine(text)}`).join("\n");
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

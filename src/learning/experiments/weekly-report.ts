import { sum } from "simple-statistics";
import type { MachineTrial } from "../../contract/learning.ts";
import { dayOf, oneLine } from "../../shared/format.ts";
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
}

export interface WeeklyFacts {
  readonly week: Week;
  readonly sessions: number;
  /** Chats that died in the week, by the cause of their last death in it. */
  readonly causes: readonly { readonly cause: string; readonly chats: number; readonly unsavedCalls: number }[];
  readonly died: Died;
  /** Dollars by model, as the clients report them. */
  readonly costs: readonly { readonly model: string; readonly dollars: number }[];
  readonly steps: readonly { readonly at: number; readonly text: string; readonly why: string }[];
}

/** Newest step of a trial in a week: its note says what came before. */
export function stepInWeek(
  { from, until }: WeeklyFacts["week"],
  { key, from: before, to, reason: why, steps }: MachineTrial,
): WeeklyFacts["steps"] {
  const step = steps.findLast(({ at }) => at >= from && at < until);
  if (!step) return [];
  const { at, state, note } = step;
  return [{ at, text: `\`${key}\` ${before} -> ${to}: ${wordsOf(state)} (${note})`, why }];
}

const causeWords: Readonly<Record<string, string>> = {
  closed: "the terminal or the client was closed",
  killed: "killed",
  out_of_memory: "out of memory",
  context_full: "the context was full",
  usage_limit: "a usage limit was reached",
  unknown: "cause not known",
};

/** Markdown. @param ideas the best first */
export function weeklyReport(facts: WeeklyFacts, ideas: readonly string[]): string {
  const { week, steps } = facts;
  return [
    `# SHIM, ${week.name}`,
    `${dayOf(week.from)} to ${dayOf(week.until - 1)}, UTC.`,
    summary(facts),
    "## What died",
    causeTable(facts),
    "## What it cost",
    cost(facts),
    "## What SHIM changed, and why",
    steps.length === 0
      ? "Nothing."
      : steps.map(({ at, text, why }) => oneLine(`- ${dayOf(at)}: ${text}. Why: ${why}.`)).join("\n"),
    "## What could be better",
    ideasText(ideas),
    "",
  ].join("\n\n");
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
    "| cause (of the last death) | chats | tool calls in no checkpoint |",
    "| --- | ---: | ---: |",
    ...rows,
    "",
    "On this machine the journal has those calls; another machine lacks them.",
  ].join("\n");
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

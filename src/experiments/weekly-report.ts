import { sum } from "simple-statistics";
import type { MachineTrial } from "../contract/trials.ts";
import { oneLine } from "../shared/format.ts";
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

export interface WeeklyFacts {
  readonly week: Week;
  readonly sessions: number;
  readonly deaths: readonly { readonly cause: string; readonly count: number; readonly unsavedCalls: number }[];
  /** Chats of those deaths, and how many of them another chat has continued. */
  readonly died: { readonly chats: number; readonly continued: number };
  /** Dead chats that were offered or decided, by resolution; `chats` counts those offered one. */
  readonly recoveries: Readonly<Record<"continued" | "dismissed" | "open" | "chats", number>>;
  /** Mean score of the briefs that were offered, 0 to 100; null: none. */
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

/** [EX83] Markdown. @param ideas most certain first; null: the records were not examined */
export function weeklyReport(facts: WeeklyFacts, ideas: readonly string[] | null): string {
  const { week, steps } = facts;
  return [
    `# SHIM, ${week.name}`,
    `${day(week.from)} to ${day(week.until - 1)}, UTC.`,
    summary(facts),
    "## What died",
    deathTable(facts),
    "## What was saved",
    saved(facts),
    "## What was lost",
    lost(facts),
    "## What it cost",
    cost(facts),
    "## What SHIM changed, and why",
    steps.length === 0
      ? "Nothing."
      : steps.map(({ at, text, why }) => oneLine(`- ${day(at)}: ${text}. Why: ${why}.`, Infinity)).join("\n"),
    "## What could be better",
    ideasText(ideas),
    "",
  ].join("\n\n");
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function summary(facts: WeeklyFacts): string {
  const { chats: dead, continued } = facts.died;
  const dollars = sum(facts.costs.map((one) => one.dollars));
  const money = facts.costs.length === 0 ? "" : ` They cost $${dollars.toFixed(2)}.`;
  if (facts.sessions === 0) return "**No chat worked on this machine.**";
  if (dead === 0) return `**${count(facts.sessions, "chat")}, and none died.**${money}`;
  return `**Of ${count(facts.sessions, "chat")} ${dead} died; another chat has continued ${continued} of these.**${money}`;
}

function deathTable({ deaths }: WeeklyFacts): string {
  if (deaths.length === 0) return "Nothing.";
  const rows = deaths.map(
    ({ cause, count: n, unsavedCalls }) => `| ${causeWords[cause] ?? cause} | ${n} | ${unsavedCalls} |`,
  );
  return ["| cause | chats | tool calls since the last checkpoint |", "| --- | ---: | ---: |", ...rows].join("\n");
}

function saved({ checkpoints, recoveries: { chats, continued, dismissed, open }, meanScore }: WeeklyFacts): string {
  const score =
    meanScore === null
      ? ""
      : ` with a mean restore score of ${Math.round(meanScore)} of 100 (prompts quoted, the end of the conversation there, files as left)`;
  return [
    `- ${count(checkpoints.count, "checkpoint")} of this week are kept, ${(checkpoints.bytes / 1e6).toFixed(1)} MB before compression.`,
    `- ${count(continued + dismissed + open, "dead chat")} offered to ${count(chats, "chat")}${score}, or decided by you: ${continued} continued, ${dismissed} dismissed, ${open} open.`,
  ].join("\n");
}

function lost({ deaths }: WeeklyFacts): string {
  const calls = sum(deaths.map(({ unsavedCalls }) => unsavedCalls));
  return `- ${count(calls, "tool call")} of dead chats were in no checkpoint. On this machine the journal has them; another machine lacks them.`;
}

function cost({ costs }: WeeklyFacts): string {
  if (costs.length === 0) return "No client reported a cost.";
  return costs.map(({ model, dollars }) => `- ${model}: $${dollars.toFixed(2)}`).join("\n");
}

function ideasText(ideas: readonly string[] | null): string {
  if (ideas === null) return "The records were not examined: `shim report opportunities` does.";
  if (ideas.length === 0) return "The records show nothing that should change.";
  return ideas.map((text) => `- ${oneLine(text, Infinity)}`).join("\n");
}

function count(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

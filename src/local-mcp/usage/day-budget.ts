import type { Budget, Usage } from "../../contract/budgets.ts";
import type { Config } from "../../contract/config.ts";
import * as meta from "../../store/meta.ts";
import type { Sql } from "../../shared/sql.ts";
import { dayOf } from "./ledger.ts";
import { measure, showCost, showTokens } from "./task-spending.ts";
import { totalCost, usageBy } from "./usage-report.ts";

/** [BU17] The day's limit of the workspace beside what chats use without a task. */

type Spent = Pick<Usage, "tokens" | "costMicros">;

/** Without a task, by the chats of this machine on this day of UTC. */
export function tasklessUsage(sql: Sql, usage: Config["usage"], now: number): Spent {
  const line = usageBy(sql, { by: "task", since: now }, usage).find(({ key }) => key === null);
  if (!line) return { tokens: 0, costMicros: 0 };
  const { input, output, cacheRead, cacheWrite } = line;
  return { tokens: input + output + cacheRead + cacheWrite, costMicros: Math.round(totalCost(line) * 1e6) };
}

/** Stored as JSON: add fields as optional. */
export interface DayBudget {
  readonly day: string;
  readonly isReached: boolean;
  /** The measure that is nearest to its limit. */
  readonly text: string;
  readonly isShown: boolean;
}

const warnShare = 0.8;

/** @returns null below four fifths of each limit */
export function judgeDay(limits: Budget, ofTasks: Spent, taskless: Spent, now: number): DayBudget | null {
  const [nearest] = [
    ...measure(ofTasks.tokens + taskless.tokens, limits.tokens ?? null, showTokens),
    ...measure(ofTasks.costMicros + taskless.costMicros, limits.costMicros ?? null, showCost),
  ]
    .map(({ used, limit, text }) => ({ share: used / limit, text }))
    .toSorted((a, b) => b.share - a.share);
  if (!nearest || nearest.share < warnShare) return null;
  return { day: dayOf(now), isReached: nearest.share >= 1, text: nearest.text, isShown: false };
}

const mark = "day_budget";

function keyOf(workspace: string): string {
  return `${mark}:${workspace}`;
}

/** Null where the limit is far, or nothing was judged today. */
export function currentDayBudget(sql: Sql, workspace: string, now: number): DayBudget | null {
  const value = meta.read(sql, keyOf(workspace));
  return value === null ? null : ofToday(value, now);
}

function ofToday(value: string, now: number): DayBudget | null {
  const budget = JSON.parse(value) as DayBudget;
  return budget.day === dayOf(now) ? budget : null;
}

interface Found {
  /** Its key in the store. */
  readonly key: string;
  readonly budget: DayBudget;
}

/** The budget of the chat's workspace; for a chat in no team any, a reached one first. */
function findDayBudget(sql: Sql, own: string | null, now: number): Found | null {
  const found = meta.listOf(sql, mark).flatMap(({ key, value }) => {
    const budget = own === null || key === keyOf(own) ? ofToday(value, now) : null;
    return budget ? [{ key, budget }] : [];
  });
  return found.find(({ budget }) => budget.isReached) ?? found[0] ?? null;
}

export function dayBudgetOf(sql: Sql, workspace: string | null, now: number): DayBudget | null {
  return findDayBudget(sql, workspace, now)?.budget ?? null;
}

/** The user gets one message at each of the two: near, and reached. */
export function storeDayBudget(sql: Sql, workspace: string, judged: DayBudget | null, now: number): void {
  if (judged === null) {
    meta.remove(sql, keyOf(workspace));
    return;
  }
  const before = currentDayBudget(sql, workspace, now);
  const isShown = before?.isShown === true && before.isReached === judged.isReached;
  meta.write(sql, keyOf(workspace), JSON.stringify({ ...judged, isShown }));
}

/** [BU17] Once for all chats of the workspace on this machine. */
export function takeDayWarning(sql: Sql, own: string | null, now: number): string | null {
  const found = findDayBudget(sql, own, now);
  if (!found || found.budget.isShown) return null;
  const { key, budget } = found;
  meta.write(sql, key, JSON.stringify({ ...budget, isShown: true }));
  const state = budget.isReached ? "The limit of the day is reached" : "The limit of the day is near";
  return `SHIM: ${state}: ${budget.text} used today (UTC), by the tasks of the workspace and by the chats of this machine without a task. It stops tasks, not this chat; \`shim team budget\` shows it.`;
}

import {
  type Budget,
  type RemainingBudget,
  type Usage,
  difference,
  maxUsage,
  maxCounted,
  zeroUsage,
  measures,
  sum,
  type Measure,
} from "../../contract/budgets.ts";
import type { Failure } from "../../contract/errors.ts";
import * as meta from "../kernel/meta.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { ok } from "../../shared/result.ts";
import { taskUsage, usage } from "./task-tables.ts";

const dayMs = 86_400_000;

/**
 * Returns the reached limit, in words; null: none.
 * @param isFinal only the task's own limit counts, since no other prevents the next attempt
 */
export function recordUsage(tx: Tx, row: TaskRow, used: Usage | undefined, isFinal: boolean): string | null {
  if (used === undefined || row.chat === null) return null;
  addReported(tx, row, row.chat, used);
  return describeFirstReached(isFinal ? [limitOf(tx, row)].filter(isLimited) : limitsOf(tx, row.chat, row));
}

/** Adds the use since the last report. Repeated or late reports count nothing twice. */
function addReported(tx: Tx, row: TaskRow, chat: string, used: Usage): void {
  const recorded = findTaskUsage(tx, row.task);
  const before =
    recorded?.claim === row.claim
      ? recorded
      : { earlier: recorded ? sum(recorded.earlier, recorded.own) : zeroUsage, own: zeroUsage };
  const own = maxUsage(before.own, used);
  const more = difference(own, before.own);
  if (measures.some((name) => more[name] > 0)) {
    const { task, claim } = row;
    taskUsage.put(tx.sql, { task, claim, earlier: JSON.stringify(before.earlier), own: JSON.stringify(own) });
    addUsage(tx, "chat", chat, more);
    addUsage(tx, "day", dayKey(tx), more);
    scheduleDayEnd(tx);
  }
}

function findTaskUsage({ sql }: Tx, task: number) {
  const row = taskUsage.find(sql, { task });
  return row
    ? { claim: row.claim, earlier: JSON.parse(row.earlier) as Usage, own: JSON.parse(row.own) as Usage }
    : null;
}

export function usedBy(tx: Tx, task: number): Usage {
  const recorded = findTaskUsage(tx, task);
  return recorded ? sum(recorded.earlier, recorded.own) : zeroUsage;
}

/** Usage of the present claim alone. */
export function usedByClaim(tx: Tx, { task, claim }: Pick<TaskRow, "task" | "claim">): Usage {
  const recorded = findTaskUsage(tx, task);
  return recorded?.claim === claim ? recorded.own : zeroUsage;
}

type UsageKind = "chat" | "day";

function addUsage({ sql }: Tx, kind: UsageKind, key: string, more: Usage): void {
  usage.insert(
    sql,
    { kind, key, ...more },
    `ON CONFLICT DO UPDATE SET wallMs = min(${maxCounted}, wallMs + excluded.wallMs),
       tokens = min(${maxCounted}, tokens + excluded.tokens), costMicros = min(${maxCounted}, costMicros + excluded.costMicros)`,
  );
}

const sums = usage.pick("wallMs", "tokens", "costMicros");

function readTotal({ sql }: Tx, kind: UsageKind, key: string): Usage {
  return sums.find(sql, { kind, key }) ?? zeroUsage;
}

/** Fixed length, so that text order is day order. */
function dayKey({ now }: Pick<Tx, "now">): string {
  return String(Math.floor(now / dayMs)).padStart(6, "0");
}

/** Behind all days. */
const lastDayKey = "~";

interface BudgetLimit {
  readonly owner: string;
  readonly budget: Budget;
  readonly used: () => Usage;
}

function limitsOf(tx: Tx, chat: string, row: Pick<TaskRow, "task" | "budget"> | null): BudgetLimit[] {
  const { chat: chatBudget, day } = tx.settings.budgets;
  const all: BudgetLimit[] = [
    { owner: "the workspace, today", budget: day, used: () => readTotal(tx, "day", dayKey(tx)) },
    { owner: `chat ${chat}`, budget: chatBudget, used: () => readTotal(tx, "chat", chat) },
  ];
  if (row) all.push(limitOf(tx, row));
  return all.filter(isLimited);
}

function isLimited({ budget }: BudgetLimit): boolean {
  return measures.some((name) => budget[name] !== undefined);
}

function limitOf(tx: Tx, { task, budget }: Pick<TaskRow, "task" | "budget">): BudgetLimit {
  const own = budget === null ? tx.settings.budgets.task : (JSON.parse(budget) as Budget);
  return { owner: `task ${task}`, budget: own, used: () => usedBy(tx, task) };
}

function describeFirstReached(limits: readonly BudgetLimit[]): string | null {
  for (const { owner, budget, used } of limits) {
    const usage = used();
    const exceeded = measures.find((name) => usage[name] >= (budget[name] ?? Number.POSITIVE_INFINITY));
    if (exceeded)
      return `the budget of ${owner} is used up: ${formatAmount(exceeded, usage[exceeded])} of ${formatAmount(exceeded, budget[exceeded] ?? 0)}`;
  }
  return null;
}

function formatAmount(measure: Measure, value: number): string {
  if (measure === "tokens") return `${value} tokens`;
  return measure === "wallMs" ? `${Math.round(value / 1_000)} s` : `${(value / 1e6).toFixed(2)} USD`;
}

/** Reason why this chat starts nothing new; null: it may. */
export function checkExhausted(tx: Tx, chat: string): Failure | null {
  const why = describeFirstReached(limitsOf(tx, chat, null));
  return why === null ? null : { code: "budget_exceeded", message: `${why}; raise it with \`shim team budget set\`` };
}

/** Least remaining of all limits. */
export function remaining(tx: Tx, row: Pick<TaskRow, "task" | "chat" | "budget">): RemainingBudget {
  const all = limitsOf(tx, row.chat ?? "", row).map(({ budget, used }) => ({ budget, has: used() }));
  const minLeft = (name: Measure): number | null => {
    const amounts = all.flatMap(({ budget, has: usage }) => {
      const limit = budget[name];
      return limit === undefined ? [] : [Math.max(0, limit - usage[name])];
    });
    return amounts.length === 0 ? null : Math.min(...amounts);
  };
  return { wallMs: minLeft("wallMs"), tokens: minLeft("tokens"), costMicros: minLeft("costMicros") };
}

const keepDays = 40;
const maxListedChats = 100;

export const handlers = {
  "budgets.get"(tx) {
    const { budgets } = tx.settings;
    const rows = tx.sql.all<Usage & { chat: string; machine: string | null }>(
      `SELECT key AS chat, machine, wallMs, tokens, costMicros FROM usage LEFT JOIN chats ON chats.chat = key
       WHERE kind = 'chat' ORDER BY costMicros DESC, tokens DESC, wallMs DESC, key LIMIT ?`,
      maxListedChats,
    );
    const today = readTotal(tx, "day", dayKey(tx));
    return ok({
      limits: budgets,
      today,
      dayEndsInMs: dayMs - (tx.now % dayMs),
      isDaySpent: isExhausted(budgets.day, () => today),
      chats: rows.map(({ chat, machine, ...used }) => ({
        chat,
        machine,
        used,
        isSpent: isExhausted(budgets.chat, () => used),
      })),
    });
  },
} satisfies Partial<Handlers>;

function isExhausted(budget: Budget, used: () => Usage): boolean {
  return describeFirstReached([{ owner: "", budget, used }].filter(isLimited)) !== null;
}

const dayEndKey = "budget_day_ends";

/** Schedules a check at the next day: today's use may block chats, by a later limit too. */
function scheduleDayEnd(tx: Tx): void {
  const at = tx.now - (tx.now % dayMs) + dayMs;
  const recorded = meta.read(tx.sql, dayEndKey);
  // A later time comes from a clock that was set back since.
  if (recorded === null || Number(recorded) > at) meta.write(tx.sql, dayEndKey, String(at));
}

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${dayEndKey}'`;

/** Starts the next day, which may free chats, and deletes old days. */
export function endDay(tx: Tx): void {
  meta.remove(tx.sql, dayEndKey);
  const before = dayKey({ now: tx.now - keepDays * dayMs });
  const { tokens, costMicros } = readDays(tx, before);
  totals.add(tx, "shim_task_tokens_total", "", tokens);
  totals.add(tx, "shim_task_cost_dollars_total", "", costMicros / 1e6);
  tx.sql.run("DELETE FROM usage WHERE kind = 'day' AND key < ?", before);
  tx.requestDispatch();
}

/** Sums the days before a key. */
function readDays({ sql }: Tx, before: string): Pick<Usage, "tokens" | "costMicros"> {
  const query = `SELECT ifnull(sum(tokens), 0) AS tokens, ifnull(sum(costMicros), 0) AS costMicros FROM usage WHERE kind = 'day' AND key < ?`;
  return sql.all<Usage>(query, before)[0] ?? zeroUsage;
}

export function readSpending(tx: Tx) {
  const { tokens, costMicros } = readDays(tx, lastDayKey);
  return {
    ever: {
      tokens: tokens + totals.get(tx.sql, "shim_task_tokens_total"),
      dollars: costMicros / 1e6 + totals.get(tx.sql, "shim_task_cost_dollars_total"),
    },
    today: readTotal(tx, "day", dayKey(tx)),
    limits: tx.settings.budgets.day,
  };
}

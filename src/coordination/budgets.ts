import type { Budget, Left, Usage } from "../contract/budgets.ts";
import type { Refusal } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import * as meta from "./meta.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "./tx.ts";
import { difference, most, mostCounted, nothing, measures, sum, type Measure } from "./usage.ts";

/** What work has used, against what it may use. Figures come from whoever measures; limits are judged here, in the same commit. */

const dayMs = 86_400_000;

interface Told {
  readonly claim: number;
  readonly earlier: Usage;
  readonly own: Usage;
}

/** [BU3] Of an attempt that goes on. @returns which limit is reached, in words; null: none */
export function note(tx: Tx, row: TaskRow, usage: Usage | undefined): string | null {
  if (usage === undefined || row.chat === null) return null;
  count(tx, row, row.chat, usage);
  return firstReached(limitsOf(tx, row.chat, row));
}

/** [BU3] Of one that ends: no other limit than the task's own keeps it from the next attempt. @returns whether that is reached, in words */
export function noteLast(tx: Tx, row: TaskRow, usage: Usage | undefined): string | null {
  if (usage === undefined || row.chat === null) return null;
  count(tx, row, row.chat, usage);
  return firstReached([limitOf(tx, row)].filter(hasFigure));
}

/**
 * [BU1] What the attempt has used since it last told goes into its task, its chat and the day. [BU2] A report that comes again, or late, counts
 * nothing twice.
 */
function count(tx: Tx, row: TaskRow, chat: string, usage: Usage): void {
  const known = toldOf(tx, row.task);
  const before =
    known?.claim === row.claim ? known : { earlier: known ? sum(known.earlier, known.own) : nothing, own: nothing };
  const own = most(before.own, usage);
  const more = difference(own, before.own);
  if (measures.some((name) => more[name] > 0)) {
    tx.sql.run(
      "INSERT INTO task_usage (task, claim, earlier, own) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET claim = excluded.claim, earlier = excluded.earlier, own = excluded.own",
      row.task,
      row.claim,
      JSON.stringify(before.earlier),
      JSON.stringify(own),
    );
    add(tx, "chat", chat, more);
    add(tx, "day", dayOf(tx), more);
    wakeTomorrow(tx);
  }
}

function toldOf({ sql }: Tx, task: number): Told | null {
  const query = "SELECT claim, earlier, own FROM task_usage WHERE task = ?";
  const [row] = sql.all<{ claim: number; earlier: string; own: string }>(query, task);
  return row
    ? { claim: row.claim, earlier: JSON.parse(row.earlier) as Usage, own: JSON.parse(row.own) as Usage }
    : null;
}

export function usedBy(tx: Tx, task: number): Usage {
  const told = toldOf(tx, task);
  return told ? sum(told.earlier, told.own) : nothing;
}

/** [BU6] A task that is replayed begins anew. */
export function forget({ sql }: Tx, task: number): void {
  sql.run("DELETE FROM task_usage WHERE task = ?", task);
}

export function forgetChat({ sql }: Tx, chat: string): void {
  sql.run("DELETE FROM usage WHERE kind = 'chat' AND key = ?", chat);
}

type Kind = "chat" | "day";

function add({ sql }: Tx, kind: Kind, key: string, { wallMs, tokens, costMicros }: Usage): void {
  sql.run(
    `INSERT INTO usage (kind, key, wall_ms, tokens, cost_micros) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET wall_ms = min(${mostCounted}, wall_ms + excluded.wall_ms),
       tokens = min(${mostCounted}, tokens + excluded.tokens), cost_micros = min(${mostCounted}, cost_micros + excluded.cost_micros)`,
    kind,
    key,
    wallMs,
    tokens,
    costMicros,
  );
}

function totalOf({ sql }: Tx, kind: Kind, key: string): Usage {
  const query = "SELECT wall_ms AS wallMs, tokens, cost_micros AS costMicros FROM usage WHERE kind = ? AND key = ?";
  return sql.all<Usage>(query, kind, key)[0] ?? nothing;
}

/** Of the same length for ages, so that texts are in the order of days. */
function dayOf({ now }: Pick<Tx, "now">): string {
  return String(Math.floor(now / dayMs)).padStart(6, "0");
}

interface Limit {
  readonly whose: string;
  readonly budget: Budget;
  readonly used: () => Usage;
}

function limitsOf(tx: Tx, chat: string, row: Pick<TaskRow, "task" | "budget"> | null): Limit[] {
  const { chat: ofChat, day } = tx.settings.budgets;
  const all: Limit[] = [
    { whose: "the workspace, today", budget: day, used: () => totalOf(tx, "day", dayOf(tx)) },
    { whose: `chat ${chat}`, budget: ofChat, used: () => totalOf(tx, "chat", chat) },
  ];
  if (row) all.push(limitOf(tx, row));
  return all.filter(hasFigure);
}

function hasFigure({ budget }: Limit): boolean {
  return measures.some((name) => budget[name] !== undefined);
}

function limitOf(tx: Tx, { task, budget }: Pick<TaskRow, "task" | "budget">): Limit {
  const own = budget === null ? tx.settings.budgets.task : (JSON.parse(budget) as Budget);
  return { whose: `task ${task}`, budget: own, used: () => usedBy(tx, task) };
}

function firstReached(limits: readonly Limit[]): string | null {
  for (const { whose, budget, used } of limits) {
    const has = used();
    const over = measures.find((name) => has[name] >= (budget[name] ?? Number.POSITIVE_INFINITY));
    if (over)
      return `the budget of ${whose} is used up: ${inWords(over, has[over])} of ${inWords(over, budget[over] ?? 0)}`;
  }
  return null;
}

function inWords(measure: Measure, value: number): string {
  if (measure === "tokens") return `${value} tokens`;
  return measure === "wallMs" ? `${Math.round(value / 1_000)} s` : `${(value / 1e6).toFixed(2)} USD`;
}

/** [BU4] Why this chat begins nothing new; null: it may. */
export function spent(tx: Tx, chat: string): Refusal | null {
  const why = firstReached(limitsOf(tx, chat, null));
  return why === null ? null : { code: "budget_exceeded", message: `${why}; raise it with \`shim budget set\`` };
}

/** [BU5] What an attempt may still use: the least of all limits. */
export function left(tx: Tx, row: Pick<TaskRow, "task" | "chat" | "budget">): Left {
  const all = limitsOf(tx, row.chat ?? "", row).map(({ budget, used }) => ({ budget, has: used() }));
  const least = (name: Measure): number | null => {
    const rest = all.flatMap(({ budget, has }) => {
      const limit = budget[name];
      return limit === undefined ? [] : [Math.max(0, limit - has[name])];
    });
    return rest.length === 0 ? null : Math.min(...rest);
  };
  return { wallMs: least("wallMs"), tokens: least("tokens"), costMicros: least("costMicros") };
}

const keptDays = 40;
const mostTold = 100;

export function get(tx: Tx): OutputOf<"budgets.get"> {
  const { budgets } = tx.settings;
  const rows = tx.sql.all<Usage & { chat: string; machine: string | null }>(
    `SELECT key AS chat, machine, wall_ms AS wallMs, tokens, cost_micros AS costMicros FROM usage LEFT JOIN chats ON chats.chat = key
     WHERE kind = 'chat' ORDER BY cost_micros DESC, tokens DESC, wall_ms DESC, key LIMIT ?`,
    mostTold,
  );
  const today = totalOf(tx, "day", dayOf(tx));
  return {
    limits: budgets,
    today,
    dayEndsInMs: dayMs - (tx.now % dayMs),
    isDaySpent: isOver(budgets.day, today),
    chats: rows.map(({ chat, machine, ...used }) => ({ chat, machine, used, isSpent: isOver(budgets.chat, used) })),
  };
}

function isOver(budget: Budget, used: Usage): boolean {
  return firstReached([{ whose: "", budget, used: () => used }]) !== null;
}

const wakeKey = "budget_day_ends";

/** A day with use may keep somebody from work, by a limit that comes later too: with the next day there is a look. */
function wakeTomorrow(tx: Tx): void {
  const at = tx.now - (tx.now % dayMs) + dayMs;
  const known = meta.read(tx.sql, wakeKey);
  // Later than that it is of a clock that was set back since.
  if (known === null || Number(known) > at) meta.write(tx.sql, wakeKey, String(at));
}

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${wakeKey}'`;

/** [BU4] The next day has begun. Days long past are forgotten. */
export function endDay(tx: Tx): void {
  meta.remove(tx.sql, wakeKey);
  tx.sql.run("DELETE FROM usage WHERE kind = 'day' AND key < ?", dayOf({ now: tx.now - keptDays * dayMs }));
}

import * as z from "zod";
import { counter, durationMs, Id, Label } from "./values.ts";

/** What work may use, and has used. Measured by whoever runs it, outside the model; never the model's own word. */

export const Usage = z.strictObject({
  /** Time of running attempts, in ms. */
  wallMs: durationMs.default(0),
  /** Tokens in and out, those read from a cache too. */
  tokens: counter.default(0),
  /** Millionths of a US dollar. */
  costMicros: counter.default(0),
});
export type Usage = z.infer<typeof Usage>;

const limitAmount = z.int().min(1).optional();

/** Hard limits: what reaches one of them is stopped. Without a figure there is none. */
export const Budget = z.strictObject({ wallMs: limitAmount, tokens: limitAmount, costMicros: limitAmount });
export type Budget = z.infer<typeof Budget>;

/** A task over all its attempts, unless it has a budget of its own; a chat over its life; the workspace over a day of UTC. */
export const Budgets = z.strictObject({
  task: Budget.default({}),
  chat: Budget.default({}),
  day: Budget.default({}),
});
export type Budgets = z.infer<typeof Budgets>;

const changedAmount = limitAmount.nullable();
const BudgetChange = z.strictObject({ wallMs: changedAmount, tokens: changedAmount, costMicros: changedAmount });
/** What is not named stays; null: no limit any more. */
export const BudgetChanges = z.strictObject({ task: BudgetChange, chat: BudgetChange, day: BudgetChange }).partial();
export type BudgetChanges = z.infer<typeof BudgetChanges>;

/** What is left until a limit is reached; null: there is no limit. */
export const RemainingBudget = z.object({
  wallMs: durationMs.nullable(),
  tokens: counter.nullable(),
  costMicros: counter.nullable(),
});
export type RemainingBudget = z.infer<typeof RemainingBudget>;

export const GetBudgets = {
  input: z.strictObject({}),
  output: z.object({
    limits: Budgets,
    /** Since the day began (UTC). */
    today: Usage,
    dayEndsInMs: durationMs,
    /** Nothing new is begun before the day is over or its limit is raised. */
    isDaySpent: z.boolean(),
    /** Chats with some use, the one that has cost most first; at most 100. */
    chats: z.array(z.object({ chat: Id, machine: Label.nullable(), used: Usage, isSpent: z.boolean() })),
  }),
};

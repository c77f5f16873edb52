import type { Chat } from "../../contract/chats.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Claimant, NeededTask, Obstacle, TaskFacts } from "../../contract/task-views.ts";
import { WorkResult } from "../../contract/work-result.ts";
import { ok } from "../../shared/result.ts";
import * as chats from "../chats/chats.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "../tasks/attempt-rows.ts";
import * as budgets from "../tasks/budgets.ts";
import { handlers as queries } from "../tasks/task-queries.ts";
import * as rows from "../tasks/task-rows.ts";
import { explain } from "./explanation.ts";

type Task = OutputOf<"tasks.get">;

const maxShown = 100;
const maxClaimants = 500;

export const handlers = {
  "tasks.explain"(tx, { task }) {
    const found = queries["tasks.get"](tx, { task });
    if (!found.ok) return found;
    const history = queries["tasks.history"](tx, { task, limit: maxShown });
    if (!history.ok) return history;
    const facts: TaskFacts = {
      ...found.value,
      attempts: history.value.attempts,
      needs: found.value.dependsOn.map((one) => toNeeded(tx, one)),
      parts: listParts(tx, task),
      claimants: found.value.state === "queued" ? listClaimants(tx, found.value) : [],
    };
    return ok({ ...facts, why: explain(facts) });
  },
} satisfies Partial<Handlers>;

function toNeeded(tx: Tx, task: number): NeededTask {
  const row = rows.find(tx, task);
  if (!row) return { task, known: null };
  const { type, state, reason, chat } = row;
  return { task, known: { type, state, reason, chat, progress: rows.progressOf(row) } };
}

/** Enough for the result of a worker; a larger one names no branch. */
const maxResultBytes = 65_536;

function listParts(tx: Tx, parent: number): TaskFacts["parts"] {
  const query = `SELECT ${rows.columns} FROM tasks WHERE parent = ? ORDER BY task LIMIT ?`;
  return tx.sql.all<rows.TaskRow>(query, parent, maxShown).map((row) => {
    const { task, ref, type, state } = row;
    const { text } = attemptRows.readResult(tx, row, maxResultBytes);
    const work = WorkResult.safeParse(JSON.parse(text ?? "null"));
    return { task, ref, type, state, branch: work.data?.branch ?? null };
  });
}

function listClaimants(tx: Tx, task: Task): Claimant[] {
  const counts = tx.sql.all<{ chat: string; n: number }>(
    "SELECT chat, count(*) AS n FROM tasks WHERE chat IS NOT NULL GROUP BY chat",
  );
  const heldBy = new Map(counts.map(({ chat, n }) => [chat, n]));
  return chats.listLive(tx, maxClaimants).map((chat) => {
    const { capacity, taskTypes, isConnected } = chat;
    const held = heldBy.get(chat.chat) ?? 0;
    const lacks = task.capabilities.filter((needed) => !chat.capabilities.includes(needed));
    const obstacle = lastingObstacle(chat, task.type, lacks) ?? passingObstacle(tx, chat, held);
    return { chat: chat.chat, obstacle, lacks, capacity, held, taskTypes, isConnected };
  });
}

function lastingObstacle({ status, capacity, taskTypes }: Chat, type: string, lacks: string[]): Obstacle | null {
  if (status === "draining") return "draining";
  if (capacity === 0) return "takes_none";
  if (lacks.length > 0) return "lacks_capability";
  return taskTypes === null || taskTypes.includes("*") || taskTypes.includes(type) ? null : "other_types";
}

function passingObstacle(tx: Tx, { chat, capacity, status }: Chat, held: number): Obstacle | null {
  if (held >= capacity) return "full";
  if (status === "stuck") return "stuck";
  if (budgets.isChatSpent(tx, chat)) return "budget_spent";
  return budgets.isDaySpent(tx) ? "day_spent" : null;
}

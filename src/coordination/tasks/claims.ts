import type { ClaimedTask, ClaimOptions, Progress } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { err, fail, ok } from "../../shared/result.ts";
import { readResult } from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { page, byLiveChat, type Handlers } from "../kernel/handlers.ts";
import * as lanes from "./lanes.ts";
import * as lifecycle from "./lifecycle.ts";
import * as rows from "./task-rows.ts";
import { tasks } from "./task-tables.ts";
import type { Tx } from "../kernel/tx.ts";

export const handlers = {
  /** One live claim per task. A repeat returns the claims still held. */
  "tasks.claim": byLiveChat((tx, input, caller) => {
    const { self, requestId, ...options } = input;
    const claims = next(tx, caller, requestId, options);
    if (claims.length > 0) return ok({ claims });
    const refused = budgets.checkExhausted(tx, self.chat);
    if (refused) return err(refused);
    if (caller.status === "draining") {
      return fail("chat_draining", `chat ${self.chat} is draining: it finishes its tasks and gets no new ones`);
    }
    return ok({ claims });
  }),
} satisfies Partial<Handlers>;

/** Claims for a request, or with an ack. A draining chat gets no new ones. */
export function next(tx: Tx, chat: chatRows.LivenessRow, requestId: string, options: ClaimOptions): ClaimedTask[] {
  const requests = requestIdsOfHeld(tx, chat.chat);
  const isAnyRelevant = requests.some((one) => one === requestId || one === lifecycle.pushedRequestId);
  const held = isAnyRelevant ? heldTasksOf(tx, chat) : [];
  const sameRequest = held.filter((row) => row.requestId === requestId);
  if (sameRequest.length > 0 || budgets.checkExhausted(tx, chat.chat)) return toClaimedTasks(tx, sameRequest);
  const pushedRows = adoptPushed(tx, chat, held, requestId, options);
  if (pushedRows.length > 0 || chat.status === "draining") return toClaimedTasks(tx, pushedRows);
  return claimQueued(tx, chat, requestId, options, requests.length);
}

export function repeat(tx: Tx, chat: chatRows.LivenessRow, requestId: string): ClaimedTask[] {
  const sameRequest = heldTasksOf(tx, chat).filter((row) => row.requestId === requestId);
  return toClaimedTasks(tx, sameRequest);
}

type OwnRow = lifecycle.HeldRow & Pick<rows.TaskRow, "requestId" | "seenAt">;

function requestIdsOfHeld({ sql }: Tx, chat: string): (string | null)[] {
  const rows = sql.all<Pick<rows.TaskRow, "requestId">>("SELECT requestId FROM tasks WHERE chat = ?", chat);
  return rows.map(({ requestId }) => requestId);
}

function heldTasksOf(tx: Tx, { chat }: chatRows.LivenessRow): OwnRow[] {
  const held = tx.sql.all<OwnRow>(
    `SELECT ${lifecycle.heldColumns}, requestId, seenAt FROM tasks WHERE chat = ? ORDER BY task`,
    chat,
  );
  return held.filter((row) => !rows.isExpired(tx, row));
}

/** Gives dispatched tasks to the request, under the same claim number. */
function adoptPushed(
  tx: Tx,
  chat: chatRows.LivenessRow,
  held: readonly OwnRow[],
  requestId: string,
  { limit, types, isStarted }: ClaimOptions,
): OwnRow[] {
  const isPushed = (row: OwnRow): boolean =>
    row.requestId === lifecycle.pushedRequestId && (types?.includes(row.type) ?? true);
  const pushed = held.filter(isPushed).slice(0, limit);
  return pushed.map((row) => {
    const adopted = Object.assign({}, row, { requestId });
    if (isStarted) return lifecycle.start(tx, chat, adopted);
    tasks.update(tx.sql, { task: row.task }, { requestId });
    return adopted;
  });
}

/** Limited by the chat's capacity. */
function claimQueued(
  tx: Tx,
  chat: chatRows.LivenessRow,
  requestId: string,
  options: ClaimOptions,
  held: number,
): ClaimedTask[] {
  const room = Math.min(options.limit, chat.capacity - held);
  if (room <= 0) return [];
  const capabilities = new Set(JSON.parse(chat.capabilities) as string[]);
  const matching = lanes.listMatching(tx, capabilities, options.types);
  const suitable = lanes.selectFirst(tx, matching, chat.chat, room);
  const heads = suitable.flatMap((lane) => lanes.headsFor(tx, lane, chat.chat, room));
  const candidates = heads.toSorted(lanes.compareFor(chat.chat));
  const first = page(candidates, room, ({ bytes }) => bytes).map(({ task }) => task);
  if (first.length === 0) return [];
  const assignment = { chat, requestId, isStarted: options.isStarted };
  const columns = `${lifecycle.heldColumns}, ${rows.textsSql}`;
  // The texts are read in the same statement.
  const assigned = lifecycle.assign<lifecycle.HeldRow & rows.TaskTexts>(tx, first, assignment, columns);
  const byTask = new Map(assigned.map((row) => [row.task, row]));
  const seenUntil = chatRows.lastSeen(tx, chat) + tx.settings.chatTtlMs;
  chatRows.scheduleCheck(tx, chat, Math.min(seenUntil, lifecycle.firstDue(assigned)));
  return toClaimedTasks(
    tx,
    first.flatMap((task) => byTask.get(task) ?? []),
    byTask,
  );
}

const maxInputBytes = 500_000;

function toClaimedTasks(
  tx: Tx,
  held: readonly lifecycle.HeldRow[],
  texts: ReadonlyMap<number, rows.TaskTexts> = rows.readTexts(
    tx,
    held.map(({ task }) => task),
  ),
): ClaimedTask[] {
  const budget = { bytes: maxInputBytes };
  return held.map((row) => ({
    task: row.task,
    claim: row.claim,
    attempt: row.failures + 1,
    maxAttempts: row.maxAttempts,
    type: row.type,
    priority: row.priority,
    payload: JSON.parse(texts.get(row.task)?.payload ?? "null") as Json,
    isStarted: row.state === "running",
    progress: JSON.parse(row.progress ?? "null") as Progress | null,
    checkpoint: JSON.parse(row.checkpoint ?? "null") as Json,
    inputs: readInputs(tx, JSON.parse(texts.get(row.task)?.dependsOn ?? "[]") as number[], budget),
    startInMs: row.state === "running" ? null : Math.max(0, (row.dueAt ?? 0) - tx.now),
    remainingMs: rows.remainingMs(tx, row),
    heartbeatMs: row.heartbeatMs,
    budget: budgets.remaining(tx, row),
  }));
}

function readInputs(tx: Tx, needed: readonly number[], budget: { bytes: number }): ClaimedTask["inputs"] {
  return needed.flatMap((task) => {
    const row = rows.find(tx, task);
    if (!row) return [];
    const { text, isLeftOut, bytes } = readResult(tx, row, budget.bytes);
    budget.bytes -= bytes;
    return [{ task, ref: row.ref, state: row.state, result: JSON.parse(text ?? "null") as Json, isLeftOut }];
  });
}

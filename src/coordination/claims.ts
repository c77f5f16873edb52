import type { Refusal } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { ClaimedTask, ClaimTasks, Next, Progress } from "../contract/tasks.ts";
import type { Json } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { resultOf } from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "./chat-rows.ts";
import * as lanes from "./lanes.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { isOver, lookAt, remainingMs } from "./task-times.ts";
import type { Tx } from "./tx.ts";

/** A chat takes tasks that it can do. */

/** Instead of a request's id: what a dispatch has assigned before the chat asked. Its next claim takes it. */
export const pushed = "";

/** [TA4] One live claim for each task. [TA6] The same request again is answered with what it has got, as far as that is still held. */
export function claim(tx: Tx, input: ClaimTasks): Result<OutputOf<"tasks.claim">, Refusal> {
  const { self, requestId, ...wish } = input;
  const actor = chatRows.acting(tx, self);
  if (!actor.ok) return actor;
  const claims = next(tx, actor.value, requestId, wish);
  if (claims.length > 0) return ok({ claims });
  const refused = budgets.spent(tx, self.chat);
  if (refused) return err(refused);
  if (actor.value.status === "draining") {
    return err({ code: "chat_draining", message: `chat ${self.chat} finishes what it has and takes nothing new` });
  }
  return ok({ claims });
}

/** The claims of a request, of one that a chat makes or of one that rides on an acknowledgement. [TA9] A draining chat gets no new ones. */
export function next(tx: Tx, chat: chatRows.LifeRow, requestId: string, wish: Next): ClaimedTask[] {
  const all = rows.heldBy(tx, chat.chat);
  const held = liveOf(tx, chat, all);
  const known = held.filter((row) => row.request_id === requestId);
  if (known.length > 0 || budgets.spent(tx, chat.chat)) return toldAgain(tx, known);
  const given = adopt(tx, held, requestId, wish);
  if (given.length > 0 || chat.status === "draining") return toldAgain(tx, given);
  return told(tx, take(tx, chat, requestId, wish, all.length));
}

/** Those that the request has got, as far as they are still held. */
export function again(tx: Tx, chat: chatRows.LifeRow, requestId: string): ClaimedTask[] {
  const known = liveOf(tx, chat, rows.heldBy(tx, chat.chat)).filter((row) => row.request_id === requestId);
  return toldAgain(tx, known);
}

function toldAgain(tx: Tx, held: readonly TaskRow[]): ClaimedTask[] {
  return told(
    tx,
    held.map((row) => ({ row, texts: textsOf(tx, row.task) })),
  );
}

/** Of what it has that whose time is not over. */
function liveOf(tx: Tx, { incarnation }: chatRows.LifeRow, held: readonly TaskRow[]): TaskRow[] {
  return held.filter((row) => row.incarnation === incarnation && !isOver(tx, row));
}

/** [QU5] What a dispatch has assigned is the request's own from now on, under the same claim number. */
function adopt(tx: Tx, held: readonly TaskRow[], requestId: string, { limit, types, isStarted }: Next): TaskRow[] {
  const given = held.filter(({ request_id, type }) => request_id === pushed && (types?.includes(type) ?? true));
  return given.slice(0, limit).map((row) => {
    const own = Object.assign(row, { request_id: requestId });
    if (isStarted) return begin(tx, own);
    tx.sql.run("UPDATE tasks SET request_id = ? WHERE task = ?", requestId, row.task);
    return own;
  });
}

/** [TA8] No more than the chat's capacity. @param held how many it has */
function take(tx: Tx, chat: chatRows.LifeRow, requestId: string, wish: Next, held: number): Taken[] {
  const row = chatRows.get(tx, chat.chat);
  const free = Math.min(wish.limit, (row?.capacity ?? 0) - held);
  if (!row || free <= 0) return [];
  const able = new Set(JSON.parse(row.capabilities) as string[]);
  const first = lanes.firstOf(tx, lanes.fitting(tx, able, wish.types), chat.chat, free);
  const heads = first.flatMap((lane) => lanes.headsFor(tx, lane, chat.chat, free));
  const wanted = heads.toSorted(lanes.byTurn(chat.chat)).slice(0, free);
  const taken = affordable(tx, wanted).map(({ task, texts }) => ({
    row: assign(tx, chat, task, requestId, wish.isStarted),
    texts,
  }));
  // [CH6] Whoever has a task is watched.
  if (taken.length > 0) chatRows.lookAt(tx, chat, chatRows.lastSeen(tx, chat) + tx.settings.chatTtlMs);
  return taken;
}

/** Of one answer, in bytes. */
const mostBytes = 1_000_000;

interface Affordable {
  readonly task: number;
  readonly texts: Texts;
}

/** As many from the front on as fit in one answer, at least one. */
function affordable(tx: Tx, wanted: readonly lanes.Head[]): readonly Affordable[] {
  const fitting: Affordable[] = [];
  let bytes = 0;
  for (const { task, told_bytes } of wanted) {
    const texts = textsOf(tx, task);
    bytes += told_bytes + texts.bytes;
    if (fitting.length > 0 && bytes > mostBytes) break;
    fitting.push({ task, texts });
  }
  return fitting;
}

/** Of what is in a lane; nothing else is asked of its row. */
export function assign(tx: Tx, chat: chatRows.LifeRow, task: number, requestId: string, isStarted: boolean): HeldRow {
  const startedAt = isStarted ? tx.now : null;
  const [row] = tx.sql.all<HeldRow>(
    `UPDATE tasks SET state = ?, claim = max(claim, ?) + 1, chat = ?, incarnation = ?, request_id = ?, assigned_at = ?, started_at = ?,
       seen_at = ?, close_at = ? + close_ms, due_at = ? + iif(?, min(close_ms, heartbeat_ms), ?) WHERE task = ? RETURNING ${heldColumns}`,
    isStarted ? "running" : "assigned",
    rows.claimFloor(tx),
    chat.chat,
    chat.incarnation,
    requestId,
    tx.now,
    startedAt,
    startedAt,
    startedAt,
    tx.now,
    isStarted ? 1 : 0,
    tx.settings.startDeadlineMs,
    task,
  );
  if (!row) throw new Error(`task ${task} is in a lane and nowhere else`);
  return row;
}

/** What a chat is told of a task that it has got. */
type HeldRow = Pick<
  TaskRow,
  | "task"
  | "claim"
  | "chat"
  | "failures"
  | "max_attempts"
  | "type"
  | "priority"
  | "state"
  | "progress"
  | "checkpoint"
  | "close_at"
  | "close_ms"
  | "due_at"
  | "heartbeat_ms"
  | "budget"
>;
const heldColumns =
  "task, claim, chat, failures, max_attempts, type, priority, state, progress, checkpoint, close_at, close_ms, due_at, heartbeat_ms, budget";

interface Taken {
  readonly row: HeldRow;
  readonly texts: Texts;
}

interface Texts {
  readonly payload: string;
  /** JSON. */
  readonly depends_on: string;
  readonly bytes: number;
}

function textsOf({ sql }: Tx, task: number): Texts {
  const query = "SELECT payload, depends_on, octet_length(payload) AS bytes FROM task_texts WHERE task = ?";
  const [texts] = sql.all<Texts>(query, task);
  if (!texts) throw new Error(`task ${task} has no payload`);
  return texts;
}

/** What comes of dependencies in one answer, in bytes. */
const mostInputBytes = 500_000;

function told(tx: Tx, taken: readonly Taken[]): ClaimedTask[] {
  const budget = { bytes: mostInputBytes };
  return taken.map(({ row, texts }) => ({
    task: row.task,
    claim: row.claim,
    attempt: row.failures + 1,
    maxAttempts: row.max_attempts,
    type: row.type,
    priority: row.priority,
    payload: JSON.parse(texts.payload) as Json,
    isStarted: row.state === "running",
    progress: JSON.parse(row.progress ?? "null") as Progress | null,
    checkpoint: JSON.parse(row.checkpoint ?? "null") as Json,
    inputs: inputsOf(tx, JSON.parse(texts.depends_on) as number[], budget),
    startInMs: row.state === "running" ? null : Math.max(0, (row.due_at ?? 0) - tx.now),
    remainingMs: remainingMs(tx, row),
    heartbeatMs: row.heartbeat_ms,
    budget: budgets.left(tx, row),
  }));
}

/** [TA12] */
function inputsOf(tx: Tx, needed: readonly number[], budget: { bytes: number }): ClaimedTask["inputs"] {
  return needed.flatMap((task) => {
    const row = rows.get(tx, task);
    if (!row) return [];
    const { text, isLeftOut, bytes } = resultOf(tx, row, budget.bytes);
    budget.bytes -= bytes;
    return [{ task, ref: row.ref, state: row.state, result: JSON.parse(text ?? "null") as Json, isLeftOut }];
  });
}

/** [TA17] The look that was due to an assignment may come early: then it finds the task running and is put off. */
export function begin(tx: Tx, row: TaskRow): TaskRow {
  const running = {
    ...row,
    state: "running",
    started_at: tx.now,
    seen_at: tx.now,
    close_at: tx.now + row.close_ms,
  } as const;
  const dueAt = lookAt(running);
  const isSoonEnough = row.due_at !== null && row.due_at <= dueAt;
  tx.sql.run(
    `UPDATE tasks SET state = 'running', request_id = ?, started_at = ?, seen_at = ?, close_at = ?${isSoonEnough ? "" : ", due_at = ?"}
     WHERE task = ?`,
    row.request_id,
    tx.now,
    tx.now,
    running.close_at,
    ...(isSoonEnough ? [] : [dueAt]),
    row.task,
  );
  return { ...running, due_at: isSoonEnough ? row.due_at : dueAt };
}

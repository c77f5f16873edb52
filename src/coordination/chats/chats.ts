import type { Chat, Health } from "../../contract/chats.ts";
import type { Failure } from "../../contract/errors.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import { maxPingIntervalMs } from "../../contract/protocol.ts";
import { err, fail, ok } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import * as changes from "../kernel/changes.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { announceStatus, type ChatRow, type LivenessRow } from "../kernel/chat-rows.ts";
import { chats as chatTable, endedChats } from "../kernel/kernel-tables.ts";
import * as liveness from "./liveness.ts";
import * as inboxes from "../messages/inboxes.ts";
import * as meta from "../kernel/meta.ts";
import { hasFields, page, byLiveChat, repeatable, unchanged, type Handlers } from "../kernel/handlers.ts";
import * as syncRows from "../sync/sync-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import * as unread from "../messages/unread.ts";
import * as tokens from "../workspace/tokens.ts";

export const handlers = {
  /** Reconnects the same process; another gets a new incarnation. One per session. */
  "chats.register"(tx, input, actor) {
    const old = chatRows.find(tx, input.chat);
    const rows = rowsOnSession(tx, input.session, old);
    const refused =
      chatRows.checkMachine(actor, input.machine) ??
      checkSessionFree(tx, input, rows) ??
      checkRegistration(tx, old, input.machine);
    if (refused) return err(refused);
    const liveRow = old && chatRows.offlineReason(tx, old) === null ? old : null;
    // A chat skipped as gone must register again, whatever its connection reports later.
    for (const row of rows) liveness.goOfflineIfGone(tx, row);
    const incarnation = incarnationOf(tx, input, old);
    upsert(tx, input, incarnation, liveRow);
    if (!liveRow) {
      inboxes.open(tx.sql, input.chat);
      const { machine } = actor;
      audit.append(tx, { kind: "chat.registered", subject: input.chat, actor: machine, detail: { incarnation } });
      announceStatus(tx, input.chat, "idle", "registered", incarnation);
    }
    return ok({
      chat: input.chat,
      incarnation,
      ttlMs: tx.settings.chatTtlMs,
      pingIntervalMs: Math.min(maxPingIntervalMs, Math.floor(tx.settings.chatTtlMs / 3)),
      revision: changes.readTotals(tx.sql).revision,
      isNew: old === null,
      wasOffline: old !== null && liveRow === null,
    });
  },

  /** An unchanged heartbeat writes no row while a connection shows that the chat lives. */
  "chats.heartbeat": byLiveChat((tx, input, caller) => {
    const row = caller;
    const status = row.status === "draining" ? row.status : (input.status ?? row.status);
    if (status !== row.status) setStatus(tx, row, status, "reported by the chat");
    if ((input.taskCount ?? input.progress ?? input.health) !== undefined) storeReport(tx, row.chat, input);
    const { revision } = changes.readTotals(tx.sql);
    // Heartbeats are not all stored at once; the answer promises what is stored.
    const ttlMs = chatRows.lastSeen(tx, row) + tx.settings.chatTtlMs - tx.now;
    return ok({ status, ttlMs, revision, unread: unread.count(tx, row.chat) });
  }),

  "chats.get"(tx, { chat }) {
    const row = chatRows.find(tx, chat);
    return row ? ok(toChat(tx, row)) : fail("unknown_chat", `there is no chat ${chat}`);
  },

  /** Sorted by id. */
  "chats.list"(tx, { limit, cursor, ...filter }) {
    const found: { readonly row: ChatRow; readonly chat: Chat }[] = [];
    for (const row of behind(tx, cursor ?? "")) {
      const chat = toChat(tx, row);
      if (matches(chat, filter)) found.push({ row, chat });
      if (found.length > limit) break;
    }
    const chats = page(found, limit, ({ row }) => row.metadata.length + row.capabilities.length).map(
      ({ chat }) => chat,
    );
    return ok({ chats, cursor: chats.length < found.length ? (chats.at(-1)?.chat ?? null) : null });
  },

  /** Repeatable end by the chat itself. */
  "chats.unregister"(tx, { self }) {
    const found = chatRows.requireCurrentIncarnation(tx, self);
    return found.ok ? ok({ released: liveness.end(tx, found.value, "left") }) : found;
  },

  "chats.drain": repeatable("chats.drain", (tx, { chat, reason }) => {
    const row = chatRows.find(tx, chat);
    if (!row) return fail("unknown_chat", `there is no chat ${chat}`);
    if (chatRows.offlineReason(tx, row)) return fail("chat_offline", `chat ${chat} is offline`);
    if (row.status === "draining") return unchanged({ status: "draining" as const });
    setStatus(tx, row, "draining", reason);
    return ok({ status: "draining" });
  }),

  /** A process of the chat's machine can see its end; its leases are released at once. */
  "chats.attest-death"(tx, input, actor) {
    const row = chatRows.find(tx, input.chat);
    if (!row) return fail("unknown_chat", `there is no chat ${input.chat}`);
    if (row.machine !== input.machine || (!actor.isAdmin && actor.machine !== row.machine)) {
      return fail("forbidden", `only a process on ${row.machine} can attest the death of chat ${row.chat}`);
    }
    if (row.process !== input.process) {
      return fail("owner_alive", `another process now runs chat ${row.chat}`);
    }
    const wasAlive = chatRows.offlineReason(tx, row) === null;
    return ok({ released: liveness.end(tx, row, "attested"), wasAlive });
  },
} satisfies Partial<Handlers>;

function rowsOnSession({ sql }: Tx, session: string, own: ChatRow | null): ChatRow[] {
  const rows = sql.all<ChatRow>("SELECT * FROM chats WHERE session = ?", session);
  return own ? [own, ...rows.filter(({ chat }) => chat !== own.chat)] : rows;
}

/** Exceeds every incarnation that a restore lost, so that two processes never share one. */
function incarnationOf(tx: Tx, input: CheckedInputOf<"chats.register">, old: ChatRow | null): number {
  if (old && isSameProcess(old, input)) return old.incarnation;
  const next = old ? old.incarnation + 1 : chatRows.firstIncarnation(tx);
  return Math.max(next, meta.numberFloor(tx) + 1);
}

/** Process keys are unique within one machine only. */
function isSameProcess(row: ChatRow, { process, machine }: CheckedInputOf<"chats.register">): boolean {
  return row.process === process && row.machine === machine;
}

/** Refuses a chat or session that another living process works on. */
function checkSessionFree(tx: Tx, input: CheckedInputOf<"chats.register">, rows: readonly ChatRow[]): Failure | null {
  const rival = rows.find((row) => !isSameProcess(row, input) && chatRows.offlineReason(tx, row) === null);
  if (!rival) return null;
  return {
    code: "session_in_use",
    message: `session ${input.session} is in use by another process, on ${rival.machine} (chat ${rival.chat}); end that process, or use another session`,
    retryAfterMs: Math.max(1_000, chatRows.offlineAt(tx, rival).at - tx.now),
    details: { chat: rival.chat, machine: rival.machine },
  };
}

function upsert(tx: Tx, input: CheckedInputOf<"chats.register">, incarnation: number, liveRow: ChatRow | null): void {
  const old = liveRow ?? { status: "idle", reason: null, statusAt: tx.now, isConnected: 0 };
  const { status, reason, statusAt, isConnected } = old;
  const json = {
    capabilities: JSON.stringify(input.capabilities),
    metadata: JSON.stringify(input.metadata),
    taskTypes: input.taskTypes ? JSON.stringify(input.taskTypes) : null,
  };
  const state = { incarnation, isInteractive: input.isInteractive ? 1 : 0, status, reason, statusAt, isConnected };
  chatTable.insert(
    tx.sql,
    { ...input, ...json, ...state, lastSeenAt: tx.now },
    `ON CONFLICT (chat) DO UPDATE SET session = excluded.session, process = excluded.process, incarnation = excluded.incarnation,
       machine = excluded.machine, client = excluded.client, role = excluded.role, isInteractive = excluded.isInteractive,
       status = excluded.status, reason = excluded.reason, statusAt = excluded.statusAt,
       lastSeenAt = excluded.lastSeenAt, isConnected = excluded.isConnected, graceUntil = NULL,
       capabilities = excluded.capabilities, capacity = excluded.capacity, metadata = excluded.metadata, taskTypes = excluded.taskTypes,
       dueAt = min(dueAt, excluded.lastSeenAt + ${tx.settings.chatTtlMs})`,
  );
}

function storeReport(tx: Tx, chat: string, { taskCount, progress, health }: CheckedInputOf<"chats.heartbeat">): void {
  const row = chatRows.find(tx, chat);
  if (!row) return;
  const next = {
    taskCount: taskCount ?? row.taskCount,
    progress: progress ?? row.progress,
    health: health ? JSON.stringify(health) : row.health,
  };
  const isHealthChanged = next.health !== row.health && roundHealth(next.health) !== roundHealth(row.health);
  const isChanged = next.taskCount !== row.taskCount || next.progress !== row.progress || isHealthChanged;
  if (!isChanged) return;
  tx.sql.run(
    "UPDATE chats SET taskCount = ?, progress = ?, health = ?, lastSeenAt = ? WHERE chat = ?",
    next.taskCount,
    next.progress,
    next.health,
    tx.now,
    row.chat,
  );
}

function roundHealth(health: string): string {
  const { cpu, memory, contextFill } = JSON.parse(health) as Health;
  return JSON.stringify(
    [cpu, memory, contextFill].map((share) => (share === undefined ? null : Math.round(share * 10))),
  );
}

function setStatus(tx: Tx, row: LivenessRow, status: Chat["status"], reason: string): void {
  tx.sql.run("UPDATE chats SET status = ?, statusAt = ?, reason = ? WHERE chat = ?", status, tx.now, reason, row.chat);
  announceStatus(tx, row.chat, status, reason, row.incarnation);
  if (row.status === "stuck") tx.requestDispatch();
}

const pageSize = 200;

function* behind({ sql }: Tx, chat: string): Generator<ChatRow, void> {
  for (let last = chat; ;) {
    const rows = sql.all<ChatRow>("SELECT * FROM chats WHERE chat > ? ORDER BY chat LIMIT ?", last, pageSize);
    yield* rows;
    const end = rows.at(-1);
    if (!end || rows.length < pageSize) return;
    last = end.chat;
  }
}

function matches(chat: Chat, { capability, ...same }: Omit<CheckedInputOf<"chats.list">, "limit" | "cursor">): boolean {
  return hasFields(chat, same) && (capability === undefined || chat.capabilities.includes(capability));
}

/** The first chats that live, by name. */
export function listLive(tx: Tx, limit: number): Chat[] {
  const live: Chat[] = [];
  for (const row of behind(tx, "")) {
    const chat = toChat(tx, row);
    if (chat.status !== "offline") live.push(chat);
    if (live.length === limit) break;
  }
  return live;
}

function toChat(tx: Tx, row: ChatRow): Chat {
  const offlineReason = row.status === "offline" ? null : chatRows.offlineReason(tx, row);
  return {
    chat: row.chat,
    session: row.session,
    incarnation: row.incarnation,
    machine: row.machine,
    client: row.client,
    role: row.role,
    isInteractive: row.isInteractive === 1,
    status: offlineReason ? "offline" : row.status,
    reason: offlineReason ?? row.reason,
    statusAgeMs: Math.max(0, tx.now - (offlineReason ? chatRows.offlineAt(tx, row).at : row.statusAt)),
    lastSeenAgeMs: Math.max(0, tx.now - chatRows.lastSeen(tx, row)),
    isConnected: tx.presence.lastSeen(row) !== null,
    capabilities: JSON.parse(row.capabilities) as string[],
    capacity: row.capacity,
    taskTypes: row.taskTypes === null ? null : (JSON.parse(row.taskTypes) as string[]),
    taskCount: row.taskCount,
    progress: row.progress,
    health: JSON.parse(row.health) as Health,
    metadata: JSON.parse(row.metadata) as Chat["metadata"],
    ...(isRecoverable(tx, row, offlineReason) ? { isRecoverable: true as const } : {}),
  };
}

const deathReasons: ReadonlySet<string | null> = new Set(["attested", "closed", "timeout"]);

function isRecoverable({ sql }: Tx, { status, reason, session }: ChatRow, offlineReason: string | null): boolean {
  const isDead = deathReasons.has(status === "offline" ? reason : offlineReason);
  return isDead && syncRows.isUnfinished(sql, session);
}

function checkRegistration(tx: Tx, old: ChatRow | null, machine: string): Failure | null {
  if (old && old.status !== "offline") return null;
  return checkWorkspaceLimit(tx) ?? checkMachineShare(tx, machine) ?? (old ? null : checkOfflineLimit(tx, machine));
}

function checkWorkspaceLimit(tx: Tx): Failure | null {
  const limit = tx.settings.maxConcurrentChats;
  if (hasRoom(tx, limit, () => meta.countLiveChats(tx.sql))) return null;
  const message = `${limit} chats are registered, which is the limit of this workspace (setting maxConcurrentChats)`;
  return { code: "too_many_chats", message, retryAfterMs: tx.settings.chatTtlMs };
}

/** Leaves room for the chats of other machines that have tokens. */
function checkMachineShare(tx: Tx, machine: string): Failure | null {
  const { maxConcurrentChats, machineChatShare, chatTtlMs } = tx.settings;
  const limit = Math.max(1, Math.floor(maxConcurrentChats * machineChatShare));
  if (meta.countLiveChats(tx.sql) < limit || !tokens.hasOtherMachine(tx, machine)) return null;
  if (hasRoom(tx, limit, () => countLive(tx, machine))) return null;
  const message = `machine ${machine} has ${limit} of the ${maxConcurrentChats} chats of this workspace, which is the limit for one machine while another machine has a token (settings maxConcurrentChats, machineChatShare)`;
  return { code: "too_many_chats", message, retryAfterMs: chatTtlMs };
}

/** A chat that holds nothing is seldom checked; it expires, too, when room is needed. */
function hasRoom(tx: Tx, limit: number, count: () => number): boolean {
  if (count() < limit) return true;
  liveness.expireGone(tx);
  return count() < limit;
}

function countLive({ sql }: Tx, machine: string): number {
  const query = "SELECT count(*) AS n FROM chats WHERE machine = ? AND status <> 'offline'";
  return sql.all<{ n: number }>(query, machine)[0]?.n ?? 0;
}

/** Offline chats are kept for their time, so a machine with too many must wait. */
function checkOfflineLimit({ sql, now, settings }: Tx, machine: string): Failure | null {
  const limit = settings.maxOfflineChatsPerMachine;
  if ((endedChats.find(sql, { machine })?.chats ?? 0) < limit) return null;
  const [next] = sql.all<{ dueAt: number }>(
    "SELECT dueAt FROM chats WHERE dueAt IS NOT NULL AND machine = ? AND status = 'offline' ORDER BY dueAt LIMIT 1",
    machine,
  );
  return {
    code: "throttled",
    message: `${limit} chats of machine ${machine} have ended and are kept for a day, which is the limit for one machine (maxOfflineChatsPerMachine); use chats longer, or try again later`,
    retryAfterMs: Math.max(1_000, (next?.dueAt ?? now) - now),
  };
}

import * as z from "zod";
import { TaskType } from "./tasks.ts";
import { counter, Cursor, durationMs, Id, Json, Label, limit, Self, whole } from "./values.ts";

const ChatRole = z.enum(["supervisor", "worker"]);
export const ChatStatus = z.enum(["idle", "busy", "stuck", "draining", "offline"]);
export type ChatStatus = z.infer<typeof ChatStatus>;
/** What a chat may say of itself. */
const OwnStatus = z.enum(["idle", "busy", "stuck"]);
/** Why a chat is offline: it left; its socket closed; nothing was heard of it; another process of its machine saw that it is gone. */
export const OfflineReason = z.enum(["left", "closed", "timeout", "attested"]);
export type OfflineReason = z.infer<typeof OfflineReason>;

const share = z.number().min(0).max(1);

export const Health = z.strictObject({
  /** Share of all cores, 0 to 1. */
  cpu: share.optional(),
  /** Share of the host's memory, 0 to 1. */
  memory: share.optional(),
  uptimeMs: durationMs.optional(),
  /** Share of the context window, 0 to 1. */
  contextFill: share.optional(),
});
export type Health = z.infer<typeof Health>;

/** At most 4,000 characters as JSON. */
const Metadata = z
  .record(z.string().max(100), Json)
  .refine((value) => JSON.stringify(value).length <= 4_000, "at most 4,000 characters as JSON");

/** One process, told from every other of its machine: boot, pid and start time. Opaque, only compared. */
const ProcessKey = whole(z.string().min(1).max(300));

export const RegisterChat = {
  input: z.strictObject({
    chat: Id.describe("Chosen by the client; stays the same over reconnects"),
    session: Id,
    process: ProcessKey,
    machine: Label,
    client: Label,
    role: ChatRole.default("worker"),
    /** Worked on by a person: a closed socket is forgiven longer. */
    isInteractive: z.boolean().default(true),
    capabilities: z.array(Label).max(50).default([]),
    /** Tasks it takes at a time. */
    capacity: z.int().min(0).max(100).default(3),
    /** Types of tasks that it is given as they come, `*` for all; without it, it asks for tasks itself. */
    taskTypes: z
      .array(z.union([TaskType, z.literal("*")]))
      .min(1)
      .max(50)
      .optional(),
    metadata: Metadata.default({}),
  }),
  output: z.object({
    chat: Id,
    incarnation: z.int(),
    /** A lease that is bound to this chat's life, and the chat itself, live so long after the last ping. */
    ttlMs: durationMs,
    pingIntervalMs: durationMs,
    /** Newest revision of the workspace: watches may begin here. */
    revision: counter,
    isNew: z.boolean(),
    /** It was there before, and has counted as gone since: what it stood in line for is lost, and what it held may be. */
    wasOffline: z.boolean(),
  }),
};
export type RegisterChat = z.infer<typeof RegisterChat.input>;

export const Heartbeat = {
  input: z.strictObject({
    self: Self,
    status: OwnStatus.optional(),
    health: Health.optional(),
    taskCount: z.int().min(0).max(1_000).optional(),
    progress: z.string().max(2_000).optional(),
  }),
  output: z.object({ status: ChatStatus, ttlMs: durationMs, revision: counter, unread: counter }),
};
export type Heartbeat = z.infer<typeof Heartbeat.input>;

export const Chat = z.object({
  chat: Id,
  session: Id,
  incarnation: z.int(),
  machine: z.string(),
  client: z.string(),
  role: ChatRole,
  isInteractive: z.boolean(),
  status: ChatStatus,
  /** Why it is in this status. */
  reason: z.string().nullable(),
  statusAgeMs: durationMs,
  lastSeenAgeMs: durationMs,
  isConnected: z.boolean(),
  capabilities: z.array(z.string()),
  capacity: z.int(),
  /** Types of tasks that it is given as they come; null: it asks for itself. */
  taskTypes: z.array(z.string()).nullable().default(null),
  taskCount: z.int(),
  progress: z.string().nullable(),
  health: Health,
  metadata: z.record(z.string(), Json),
});
export type Chat = z.infer<typeof Chat>;

export const ListChats = {
  input: z.strictObject({
    status: ChatStatus.optional(),
    role: ChatRole.optional(),
    machine: Label.optional(),
    capability: Label.optional(),
    limit: limit(200, 50),
    cursor: Cursor.optional(),
  }),
  output: z.object({ chats: z.array(Chat), cursor: Cursor.nullable() }),
};
export type ListChats = z.infer<typeof ListChats.input>;

export const GetChat = { input: z.strictObject({ chat: Id }), output: Chat };
export type GetChat = z.infer<typeof GetChat.input>;

export const UnregisterChat = { input: z.strictObject({ self: Self }), output: z.object({ released: counter }) };
export type UnregisterChat = z.infer<typeof UnregisterChat.input>;

export const DrainChat = {
  input: z.strictObject({ chat: Id, reason: z.string().max(500).default("asked to drain") }),
  output: z.object({ status: ChatStatus }),
};
export type DrainChat = z.infer<typeof DrainChat.input>;

export const AttestDeath = {
  input: z.strictObject({
    chat: Id,
    machine: Label,
    /** The process that was seen to be gone: must be the one that the chat registered with. */
    process: ProcessKey,
  }),
  output: z.object({ released: counter, wasAlive: z.boolean() }),
};
export type AttestDeath = z.infer<typeof AttestDeath.input>;

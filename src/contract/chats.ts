import * as z from "zod";
import { TaskType } from "./tasks.ts";
import { counter, Cursor, durationMs, Id, Json, Label, limit, Self, whole } from "./values.ts";

const ChatRole = z.enum(["supervisor", "worker"]);
export const ChatStatus = z.enum(["idle", "busy", "stuck", "draining", "offline"]);
export type ChatStatus = z.infer<typeof ChatStatus>;
const OwnStatus = z.enum(["idle", "busy", "stuck"]);
/** Cause: it left, its socket closed, its pings stopped, or another process attested its end. */
export const OfflineReason = z.enum(["left", "closed", "timeout", "attested"]);
export type OfflineReason = z.infer<typeof OfflineReason>;

const share = z.number().min(0).max(1);

export const Health = z.strictObject({
  /** Share of all cores, 0 to 1. */
  cpu: share.optional(),
  memory: share.optional(),
  uptimeMs: durationMs.optional(),
  contextFill: share.optional(),
});
export type Health = z.infer<typeof Health>;

const Metadata = z
  .record(z.string().max(100), Json)
  .refine((value) => JSON.stringify(value).length <= 4_000, "at most 4,000 characters as JSON");

/** Opaque identity of one process on its machine: boot, pid and start time. */
const ProcessKey = whole(z.string().min(1).max(300));

export const RegisterChat = {
  input: z.strictObject({
    chat: Id.describe("Chosen by the client; stays the same over reconnects"),
    session: Id,
    process: ProcessKey,
    machine: Label,
    client: Label,
    role: ChatRole.default("worker"),
    isInteractive: z.boolean().default(true),
    capabilities: z.array(Label).max(50).default([]),
    capacity: z.int().min(0).max(100).default(3),
    /** Task types dispatched to this chat, `*` for all; absent, the chat polls for tasks. */
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
    /** Lifetime of the chat, and of leases bound to it, after the last ping. */
    ttlMs: durationMs,
    pingIntervalMs: durationMs,
    revision: counter,
    isNew: z.boolean(),
    /** True after a time offline: the chat's waiters are lost, and its leases may be too. */
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
  reason: z.string().nullable(),
  statusAgeMs: durationMs,
  lastSeenAgeMs: durationMs,
  isConnected: z.boolean(),
  capabilities: z.array(z.string()),
  capacity: z.int(),
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
    process: ProcessKey,
  }),
  output: z.object({ released: counter, wasAlive: z.boolean() }),
};
export type AttestDeath = z.infer<typeof AttestDeath.input>;

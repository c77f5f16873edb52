import * as z from "zod";
import { Json, counter, Cursor, durationMs, Id, Label, limit, Self, whole } from "./values.ts";
import { chatErrors, declare } from "./operation.ts";
import { chatStatuses } from "./task-words.ts";
import { TaskType } from "./tasks.ts";

const ChatRole = z.enum(["supervisor", "worker"]);
export const ChatStatus = z.enum(chatStatuses);
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
  /** Present where the chat died, and its session is stored, not ended and not taken. */
  isRecoverable: z.literal(true).optional(),
});
export type Chat = z.infer<typeof Chat>;

export const chatOperations = {
  "chats.register": declare("work", "POST /chats", {
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
    errors: ["session_in_use", "too_many_chats", "quota_exceeded"],
    summary: "Registers a chat, or continues it after a reconnect. On a socket it binds the connection to the chat.",
    example: { chat: "c1", session: "s1", process: "boot-1/1/100", machine: "m1", client: "test" },
  }),
  "chats.heartbeat": declare("work", "POST /chats/heartbeat", {
    input: z.strictObject({
      self: Self,
      status: OwnStatus.optional(),
      health: Health.optional(),
      taskCount: z.int().min(0).max(1_000).optional(),
      progress: z.string().max(2_000).optional(),
    }),
    output: z.object({ status: ChatStatus, ttlMs: durationMs, revision: counter, unread: counter }),
    errors: chatErrors,
    summary:
      "Reports that a chat is alive, and its status. An unchanged report writes nothing while a socket is connected.",
    effect: "keep",
  }),
  "chats.list": declare("observe", "GET /chats", {
    input: z.strictObject({
      status: ChatStatus.optional(),
      role: ChatRole.optional(),
      machine: Label.optional(),
      capability: Label.optional(),
      limit: limit(200, 50),
      cursor: Cursor.optional(),
    }),
    output: z.object({ chats: z.array(Chat), cursor: Cursor.nullable() }),
    summary: "Lists chats by id, page by page.",
    surfaces: ["page", "remote"],
  }),
  "chats.get": declare("observe", "GET /chats/get", {
    input: z.strictObject({ chat: Id }),
    output: Chat,
    errors: ["unknown_chat"],
    summary: "Returns one chat.",
    surfaces: ["page"],
  }),
  "chats.unregister": declare("work", "POST /chats/unregister", {
    input: z.strictObject({ self: Self }),
    output: z.object({ released: counter }),
    errors: chatErrors,
    summary: "Unregisters a chat; everything it holds is released at once.",
    effect: "keep",
  }),
  "chats.drain": declare("submit", "POST /chats/drain", {
    input: z.strictObject({
      chat: Id,
      reason: z.string().max(500).default("asked to drain"),
      requestId: Id.optional(),
    }),
    output: z.object({ status: ChatStatus }),
    errors: ["unknown_chat", "chat_offline", "key_reused"],
    summary: "Drains a chat: it finishes its tasks and gets no new ones.",
    effect: "keep",
    isDestructive: true,
    surfaces: ["page", "remote"],
  }),
  "chats.attest-death": declare("work", "POST /chats/attest-death", {
    input: z.strictObject({
      chat: Id,
      machine: Label,
      process: ProcessKey,
    }),
    output: z.object({ released: counter, wasAlive: z.boolean() }),
    errors: ["unknown_chat", "owner_alive"],
    summary:
      "Attests, from another process on the chat's machine, that its process has ended; all that it held is released at once.",
    effect: "keep",
  }),
} as const;

/** Client of the chat that stands for the command line of a machine. */
export const commandLine = "shim command line";

export function commandLineChat(machine: string): string {
  return `cli-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 100)}`;
}

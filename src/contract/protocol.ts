import * as z from "zod";
import { errorTable, isRetryable, type ErrorCode, type Failure } from "./errors.ts";
import { Id } from "./values.ts";

/** Wire protocol. Version 1: chats, leases, elections, state, messages, tasks. */
export const protocolVersion = 1;
export const oldestProtocolVersion = 1;

export const maxPingIntervalMs = 10_000;

/** Larger frames are refused and close the socket. */
export const maxFrameChars = 1_048_576;
const maxBatchSize = 100;
/** Limit of a frame's answers; its remaining requests are refused as `too_large`. */
export const maxAnswerChars = 2_000_000;
export const defaultMaxBodyBytes = 1_048_576;

/** Chats that one socket may represent: its attachment holds them all. */
export const maxChatsPerSocket = 32;

/** Notification {chat} of a client: the chat no longer uses this socket, as if it had closed. */
export const leaveMethod = "chats.leave";

/** Subprotocol of a page's socket, offered beside its ticket, which opens one socket. */
export const ticketProtocol = "shim.page";
export const ticketLifeMs = 30_000;

/** Notification {mark}. The client answers `flow.read` {mark} once it has read up to it. */
export const flowMarkMethod = "flow.mark";
export const flowReadMethod = "flow.read";

/** Interval at which a client asks for what a lost hint was about. */
export const pollEveryMs = 15_000;

/** Apart from the table of codes, which hooks load and the schema library would slow down. */
export const WireError = z.object({
  code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  retryable: z.boolean(),
  retryAfterMs: z.number().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});
export type WireError = z.infer<typeof WireError>;

/** @param refusal of a coordinator: no other failure leaves one */
export function toWire(refusal: Failure): WireError {
  return { ...refusal, retryable: isRetryable(refusal.code) } as WireError;
}

/** JSON-RPC 2.0 (jsonrpc.org/specification) for both ends of a socket. Pure. */

type FrameResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Failure };

export interface RpcRequest {
  /** A notification has null and is not answered. */
  readonly id: string | number | null;
  readonly method: string;
  readonly params: unknown;
}

/** An array is one frame and one commit. */
export interface RequestFrame {
  /** Null marks an element that is not a request. */
  readonly requests: readonly (RpcRequest | null)[];
  readonly isBatch: boolean;
  readonly chars: number;
}

/** Leaves room for the frame around the input, in bytes. */
export const maxFrameInputBytes = defaultMaxBodyBytes - 1_024;

export function requestFrame(id: number, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

export function notificationFrame(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

export function readRequests(text: string | ArrayBuffer): FrameResult<RequestFrame> {
  if (typeof text !== "string") return refused("bad_input", "only text frames are accepted");
  if (text.length > maxFrameChars) return refused("too_large", `a frame has at most ${maxFrameChars} characters`);
  const value = parse(text);
  if (value === undefined) return refused("bad_input", "the frame is not JSON");
  const isBatch = Array.isArray(value);
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (parts.length === 0 || parts.length > maxBatchSize) {
    return refused("bad_input", `a frame holds 1 to ${maxBatchSize} requests`);
  }
  return { ok: true, value: { requests: parts.map(toRequest), isBatch, chars: text.length } };
}

function refused(code: "bad_input" | "too_large", message: string): FrameResult<never> {
  return { ok: false, error: { code, message } };
}

function toRequest(part: unknown): RpcRequest | null {
  if (typeof part !== "object" || part === null) return null;
  const { jsonrpc, id = null, method, params } = part as Record<string, unknown>;
  if (jsonrpc !== "2.0" || typeof method !== "string" || !isId(id)) return null;
  return { id, method, params: params ?? {} };
}

function isId(id: unknown): id is string | number | null {
  return id === null || typeof id === "string" || typeof id === "number";
}

/** JSON-RPC codes; every other refusal is -32000 with its code in `data.code`. */
const rpcCodes: Partial<Record<Failure["code"], number>> = {
  bad_input: -32_602,
  unknown_operation: -32_601,
  internal: -32_603,
};

export function toAnswer(id: string | number | null, result: FrameResult<unknown>): object {
  if (result.ok) return { jsonrpc: "2.0", id, result: result.value };
  const { code, message } = result.error;
  return { jsonrpc: "2.0", id, error: { code: rpcCodes[code] ?? -32_000, message, data: toWire(result.error) } };
}

/** Hints: a client that misses one finds it by asking. */
export const Notification = z.discriminatedUnion("method", [
  /** Something below the watch's prefix has changed; `state.changes` reads what. */
  z.object({ method: z.literal("state.changed"), params: z.object({ watch: Id }) }),
  z.object({ method: z.literal("lease.granted"), params: z.object({ chat: Id, resource: z.string() }) }),
  /** A message, or a new or a cancelled task; a pull, a claim or the next heartbeat reads which. */
  z.object({ method: z.enum(["messages.new", "tasks.new"]), params: z.object({ chat: Id }) }),
  /** Another machine has stored sessions, or one may be taken over; a pull reads which. */
  z.object({ method: z.literal("sync.changed"), params: z.object({ isDeath: z.boolean() }) }),
  /** This socket no longer represents the chat. */
  z.object({ method: z.enum(["chat.offline", "chat.replaced"]), params: z.object({ chat: Id }) }),
]);
export type Notification = z.infer<typeof Notification>;

const Answer = z.union([
  z.object({ id: z.int(), result: z.unknown().refine((result) => result !== undefined) }),
  z.object({ id: z.int(), error: z.object({ message: z.string(), data: z.unknown().optional() }) }),
]);

const Mark = z.object({ method: z.literal(flowMarkMethod), params: z.object({ mark: z.string().max(200) }) });

/** Frames that a coordinator sends. */
export type Incoming =
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: unknown }
  | { readonly kind: "notification"; readonly notification: Notification }
  | { readonly kind: "mark"; readonly mark: string }
  | { readonly kind: "unknown"; readonly message: string };

export function readIncoming(text: string): Incoming[] {
  const value = parse(text);
  if (value === undefined) return [{ kind: "unknown", message: "a frame is not JSON" }];
  return (Array.isArray(value) ? value : [value]).map(toIncoming);
}

function toIncoming(value: unknown): Incoming {
  const answer = Answer.safeParse(value);
  if (answer.success) {
    const { data } = answer;
    if ("error" in data) return { kind: "error", id: data.id, error: data.error.data };
    return { kind: "result", id: data.id, result: data.result };
  }
  const notification = Notification.safeParse(value);
  if (notification.success) return { kind: "notification", notification: notification.data };
  const mark = Mark.safeParse(value);
  if (mark.success) return { kind: "mark", mark: mark.data.params.mark };
  return { kind: "unknown", message: "a frame is neither an answer nor a known notification" };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

import * as z from "zod";
import { flowMarkMethod, defaultMaxBodyBytes } from "../../contract/protocol.ts";
import { Change } from "../../contract/state.ts";
import { counter, Id } from "../../contract/values.ts";

/** All but the changes are hints: a client that misses one finds it by asking. */
export const Notification = z.discriminatedUnion("method", [
  z.object({
    method: z.literal("state.changes"),
    params: z.object({ watch: Id, after: counter, changes: z.array(Change), revision: counter }),
  }),
  z.object({ method: z.literal("resync"), params: z.object({ watch: Id, revision: counter }) }),
  z.object({ method: z.literal("lease.granted"), params: z.object({ resource: z.string() }) }),
  z.object({ method: z.literal("messages.new"), params: z.object({}).optional() }),
  /** A new task or a cancelled one; a claim or the next heartbeat reads which. */
  z.object({ method: z.literal("tasks.new"), params: z.object({}).optional() }),
  z.object({ method: z.literal("chat.offline"), params: z.object({}).optional() }),
]);
export type Notification = z.infer<typeof Notification>;

const Answer = z.union([
  z.object({ id: z.int(), result: z.unknown().refine((result) => result !== undefined) }),
  z.object({ id: z.int(), error: z.object({ message: z.string(), data: z.unknown().optional() }) }),
]);

export type Incoming =
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: unknown }
  | { readonly kind: "notification"; readonly notification: Notification }
  | { readonly kind: "mark"; readonly mark: string }
  | { readonly kind: "unknown"; readonly message: string };

const Mark = z.object({ method: z.literal(flowMarkMethod), params: z.object({ mark: z.string().max(200) }) });

/** Leaves room for the frame around the input, in bytes. */
export const maxFrameInputBytes = defaultMaxBodyBytes - 1_024;

export function byteLength(input: object): number {
  return Buffer.byteLength(JSON.stringify(input));
}

export function requestFrame(id: number, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

export function notificationFrame(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

export function readFrame(text: string): Incoming[] {
  const value = parse(text);
  if (value === undefined) return [{ kind: "unknown", message: "a frame is no JSON" }];
  return (Array.isArray(value) ? value : [value]).map(readOne);
}

function readOne(value: unknown): Incoming {
  const answer = Answer.safeParse(value);
  if (answer.success) {
    const { data } = answer;
    if ("error" in data) return { kind: "error", id: data.id, error: data.error.data };
    return { kind: "result", id: data.id, result: data.result };
  }
  const notification = Notification.safeParse(value);
  if (notification.success) return { kind: "notification", notification: notification.data };
  const flowMark = Mark.safeParse(value);
  if (flowMark.success) return { kind: "mark", mark: flowMark.data.params.mark };
  return { kind: "unknown", message: "a frame is neither an answer nor a known notification" };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

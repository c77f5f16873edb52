import { maxBatchSize, maxFrameChars } from "../contract/protocol.ts";
import { toWire, type Refusal } from "../contract/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** JSON-RPC 2.0 (jsonrpc.org/specification); an array is one frame and one commit. Pure. */

export interface RpcRequest {
  /** A notification has null and is not answered. */
  readonly id: string | number | null;
  readonly method: string;
  readonly params: unknown;
}

export interface Frame {
  readonly requests: readonly (RpcRequest | null)[];
  readonly isBatch: boolean;
  readonly chars: number;
}

/** Null marks an element that is not a request. */
export function readFrame(text: string | ArrayBuffer): Result<Frame, Refusal> {
  if (typeof text !== "string") return err({ code: "bad_input", message: "only text frames are taken" });
  if (text.length > maxFrameChars) {
    return err({ code: "too_large", message: `a frame has at most ${maxFrameChars} characters` });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err({ code: "bad_input", message: "the frame is not JSON" });
  }
  const isBatch = Array.isArray(value);
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  if (parts.length === 0 || parts.length > maxBatchSize) {
    return err({ code: "bad_input", message: `a frame holds 1 to ${maxBatchSize} requests` });
  }
  return ok({ requests: parts.map(requestOf), isBatch, chars: text.length });
}

function requestOf(part: unknown): RpcRequest | null {
  if (typeof part !== "object" || part === null) return null;
  const { jsonrpc, id = null, method, params } = part as Record<string, unknown>;
  if (jsonrpc !== "2.0" || typeof method !== "string" || !isId(id)) return null;
  return { id, method, params: params ?? {} };
}

function isId(id: unknown): id is string | number | null {
  return id === null || typeof id === "string" || typeof id === "number";
}

/** JSON-RPC codes; every other refusal is -32000 with its code in `data.code`. */
const rpcCodes: Partial<Record<Refusal["code"], number>> = {
  bad_input: -32_602,
  unknown_operation: -32_601,
  internal: -32_603,
};

export function answer(id: string | number | null, result: Result<unknown, Refusal>): object {
  if (result.ok) return { jsonrpc: "2.0", id, result: result.value };
  const { code, message } = result.error;
  return { jsonrpc: "2.0", id, error: { code: rpcCodes[code] ?? -32_000, message, data: toWire(result.error) } };
}

export function notification(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

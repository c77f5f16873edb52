import type * as z from "zod";
import type { ErrorCode } from "./errors.ts";
import type { Scope } from "./workspaces.ts";

export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path below `/v1/workspaces/:workspace`. Input is in a GET's query, otherwise in the body. */
  readonly path: string;
  readonly scope: Scope;
  readonly input: Input;
  readonly output: Output;
  readonly errors: readonly ErrorCode[];
  readonly summary: string;
  readonly maxBodyBytes?: number;
  /** Concerns one connection, so only a socket carries it. */
  readonly isSocketOnly?: true;
}

export const commonErrors = [
  "bad_input",
  "unsupported_protocol",
  "too_large",
  "unauthenticated",
  "forbidden",
  "unknown_workspace",
  "rate_limited",
  "throttled",
  "overloaded",
  "internal",
] as const satisfies readonly ErrorCode[];

export const chatErrors = ["unknown_chat", "chat_replaced", "chat_offline"] as const satisfies readonly ErrorCode[];

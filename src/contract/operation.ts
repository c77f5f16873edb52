import type * as z from "zod";
import type { ErrorCode } from "./errors.ts";
import type { Scope } from "./workspaces.ts";

/** One operation of a coordinator: all that routes, sockets, clients and documents are made of. */
export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below `/v1/workspaces/:workspace`. Input stands in the query of a GET and in the body of the others. */
  readonly path: string;
  readonly scope: Scope;
  readonly input: Input;
  readonly output: Output;
  /** Beside those that every operation may answer. */
  readonly errors: readonly ErrorCode[];
  readonly summary: string;
  /** Of its body over HTTP, where that may be larger than others. */
  readonly maxBodyBytes?: number;
  /** Only over a socket: it concerns that connection. */
  readonly isSocketOnly?: true;
}

/** Every operation may answer these. */
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

/** Operations of a registered chat may answer these, too. */
export const chatErrors = ["unknown_chat", "chat_replaced", "chat_offline"] as const satisfies readonly ErrorCode[];

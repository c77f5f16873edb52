import type * as z from "zod";
import type { ErrorCode } from "./errors.ts";
import type { Scope } from "./workspaces.ts";

type Method = "GET" | "POST" | "PUT" | "DELETE";

interface Details {
  /** In the query of a GET, otherwise in the body. */
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
  /** Besides the common ones. */
  readonly errors?: readonly ErrorCode[];
  readonly summary: string;
  readonly maxBodyBytes?: number;
  /** Concerns one connection, so only a socket carries it. */
  readonly isSocketOnly?: true;
}

export interface Operation extends Details {
  readonly method: Method;
  /** Path below `/v1/workspaces/:workspace`. */
  readonly path: string;
  readonly scope: Scope;
  readonly errors: readonly ErrorCode[];
}

/** @param route method and path below `/v1/workspaces/:workspace` */
export function operation<const Given extends Details>(
  route: `${Method} /${string}`,
  scope: Scope,
  details: Given,
): Omit<Operation, keyof Given> & Given {
  const [method, path] = route.split(" ") as [Method, string];
  return { method, path, scope, errors: [], ...details };
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

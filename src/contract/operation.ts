import * as z from "zod";
import type { ErrorCode, FailureCode } from "./errors.ts";

/** Each scope contains those before it. */
export const scopes = ["observe", "submit", "work", "admin"] as const;
export const Scope = z.enum(scopes);
export type Scope = z.infer<typeof Scope>;

type Method = "GET" | "POST" | "PUT" | "DELETE";

/**
 * read: no change. keep: keeps or ends what a chat has (renewals, heartbeats, acknowledgements,
 * releases). free: deletes, or only changes limits. grow: adds.
 */
export type Effect = "read" | "keep" | "free" | "grow";

/** Surfaces besides HTTP API and command line: live page, tools of the remote MCP server. */
export type Surface = "page" | "remote";

/** Common to the operations of a workspace and of a machine. */
export interface Declaration<Input extends z.ZodObject, Output extends z.ZodType, Code extends FailureCode> {
  readonly summary: string;
  /** Absent: it takes nothing. */
  readonly input?: Input;
  readonly output: Output;
  /** Besides the common ones. */
  readonly errors?: readonly Code[];
  /** An input, for documents and tests; absent: the empty one. */
  readonly example?: z.input<Input>;
}

export interface OperationDetails<
  Input extends z.ZodObject,
  Output extends z.ZodType,
  Code extends ErrorCode,
  On extends Surface,
> extends Declaration<Input, Output, Code> {
  /** The most that it does; absent: a GET reads, and all else grows. */
  readonly effect?: Effect;
  /** Its effect with this input; absent: always the same. */
  effectOf?(input: z.output<Input>): Effect;
  /** A client asks its user first. */
  readonly isDestructive?: true;
  /** Loses nothing by coming later, so it is refused first when there is too much to do. */
  readonly isPostponable?: true;
  readonly surfaces?: readonly On[];
  readonly maxBodyBytes?: number;
  /** Concerns one connection, so only a socket carries it. */
  readonly isSocketOnly?: true;
}

export type OperationOf<
  Input extends z.ZodObject,
  Output extends z.ZodType,
  Code extends ErrorCode,
  On extends Surface,
> = OperationDetails<Input, Output, Code, On> &
  Required<Pick<OperationDetails<Input, Output, Code, On>, "input" | "errors" | "effect" | "surfaces" | "example">> & {
    readonly method: Method;
    /** Path below `/v1/workspaces/:workspace`. */
    readonly path: string;
    readonly scope: Scope;
  };

export type Operation = OperationOf<z.ZodObject, z.ZodType, ErrorCode, Surface>;

const nothing = z.strictObject({});
export type Nothing = typeof nothing;

/** Parts of an operation that takes nothing and has no failures of its own. */
export function emptyCall<Input extends z.ZodObject>() {
  return { input: nothing as unknown as Input, errors: [], example: {} as z.input<Input> };
}

/** @param route method and path below `/v1/workspaces/:workspace` */
export function operation<
  Output extends z.ZodType,
  Input extends z.ZodObject = Nothing,
  const Code extends ErrorCode = never,
  const On extends Surface = never,
>(
  route: `${Method} /${string}`,
  scope: Scope,
  details: OperationDetails<Input, Output, Code, On>,
): OperationOf<Input, Output, Code, On> {
  const [method, path] = route.split(" ") as [Method, string];
  const effect: Effect = method === "GET" ? "read" : "grow";
  return { method, path, scope, ...emptyCall<Input>(), surfaces: [], effect, ...details };
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
  "frozen",
  "internal",
] as const satisfies readonly ErrorCode[];

export const chatErrors = ["unknown_chat", "chat_replaced", "chat_offline"] as const satisfies readonly ErrorCode[];

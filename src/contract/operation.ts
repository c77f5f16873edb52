import * as z from "zod";
import type { ErrorCode, FailureCode } from "./errors.ts";
import { exampleOf } from "./examples.ts";

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

export interface Details<
  Input extends z.ZodObject,
  Output extends z.ZodType,
  Code extends FailureCode,
  On extends Surface,
> {
  readonly summary: string;
  /** Absent: it takes nothing. */
  readonly input?: Input;
  readonly output: Output;
  /** Besides the common ones. */
  readonly errors?: readonly Code[];
  /** Fields of its example besides the usual values of those that it needs. */
  readonly example?: Partial<z.input<Input>>;
  readonly surfaces?: readonly On[];
}

export type Complete<
  Input extends z.ZodObject,
  Output extends z.ZodType,
  Code extends FailureCode,
  On extends Surface,
> = Required<Omit<Details<Input, Output, Code, On>, "example">> & {
  readonly example: z.input<Input>;
};

export interface WorkspaceDetails<Input extends z.ZodObject> {
  /** The most that it does; absent: a GET reads, and all else grows. */
  readonly effect?: Effect;
  /** Its effect with this input; absent: always the same. */
  effectOf?(input: z.output<Input>): Effect;
  /** A client asks its user first. */
  readonly isDestructive?: true;
  /** Loses nothing by coming later, so it is refused first when there is too much to do. */
  readonly isPostponable?: true;
  readonly maxBodyBytes?: number;
  /** Concerns one connection, so only a socket carries it. */
  readonly isSocketOnly?: true;
}

export type WorkspaceOperation<
  Input extends z.ZodObject,
  Output extends z.ZodType,
  Code extends ErrorCode,
  On extends Surface,
> = Complete<Input, Output, Code, On> &
  WorkspaceDetails<Input> & {
    readonly method: Method;
    /** Path below `/v1/workspaces/:workspace`. */
    readonly path: string;
    readonly scope: Scope;
    readonly effect: Effect;
  };

export type Operation = WorkspaceOperation<z.ZodObject, z.ZodType, ErrorCode, Surface>;

/** The one that does an operation of a machine: its host, or the process that asks. */
type Doer = "host" | "caller";

/** destructive: deletes what nothing brings back, so a client asks its user first. */
export type MachineEffect = "read" | "write" | "destructive";

export interface MachineDetails {
  /** One step may take longer than the five seconds after which a silent host counts as hanging. */
  readonly isLong?: true;
}

export type MachineOperationOf<Input extends z.ZodObject, Output extends z.ZodType> = Complete<
  Input,
  Output,
  FailureCode,
  Surface
> &
  MachineDetails & { readonly doneBy: Doer; readonly effect: MachineEffect; readonly isDestructive?: true };

export type MachineOperation = MachineOperationOf<z.ZodObject, z.ZodType>;

const nothing = z.strictObject({});
type Nothing = typeof nothing;

/**
 * Declares an operation of a workspace. @param scope of the tokens that may call it
 *
 * @param route method and path below `/v1/workspaces/:workspace`
 */
export function declare<
  Output extends z.ZodType,
  Input extends z.ZodObject = Nothing,
  const Code extends ErrorCode = never,
  const On extends Surface = never,
>(
  scope: Scope,
  route: `${Method} /${string}`,
  details: Details<Input, Output, Code, On> & WorkspaceDetails<Input>,
): WorkspaceOperation<Input, Output, Code, On>;
/**
 * Declares an operation of a machine. It is repeatable: a call without an answer is sent again.
 *
 * @param effect the most that it does
 */
export function declare<Output extends z.ZodType, Input extends z.ZodObject = Nothing>(
  doneBy: Doer,
  effect: MachineEffect,
  details: Details<Input, Output, FailureCode, Surface> & MachineDetails,
): MachineOperationOf<Input, Output>;
export function declare(
  access: Scope | Doer,
  way: string,
  { input = nothing, example, ...details }: { readonly input?: z.ZodObject; readonly example?: object },
): object {
  const common = { input, errors: [], surfaces: [], ...details, example: exampleOf(input, example) };
  if (access === "host" || access === "caller")
    return { doneBy: access, effect: way, ...(way === "destructive" && { isDestructive: true }), ...common };
  const [method, path] = way.split(" ");
  return { method, path, scope: access, effect: method === "GET" ? "read" : "grow", ...common };
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

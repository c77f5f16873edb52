import type { CallError } from "../contract/errors.ts";
import type { CallInput, CallName, OutputOf } from "../contract/operations.ts";
import type { Result } from "../shared/result.ts";
import type { WorkspaceClient } from "./client.ts";

/** task: a task that may be free, or the end of one that the chat has; any: check everything. */
export type HintKind = "task" | "message" | "any";

export type Call = <Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  deadlineMs?: number,
) => Promise<Result<OutputOf<Name>, CallError>>;

/** A workspace's coordinator, in this process or over the network; never throws for either. */
export type CoordinatorClient = Pick<
  WorkspaceClient,
  "self" | "register" | "call" | "onHint" | "onSyncHint" | "onLost" | "onChanges" | "leave" | "close"
>;

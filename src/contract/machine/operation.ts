import type * as z from "zod";

/** destructive: deletes what nothing brings back, so a client asks its user first. */
export type MachineEffect = "read" | "write" | "destructive";

/** Views besides `shim call`: a command of its own, a tool of a chat, the live page. */
export type MachineSurface = "command" | "tool" | "page";

/** Codes of refusals, besides those of the store. */
export type HostErrorCode =
  | "bad_input"
  | "not_found"
  | "ambiguous"
  | "interrupted"
  | "config_invalid"
  | "checkpoint_damaged"
  | "file_exists"
  | "files_left"
  | "invalid_corpus"
  | "less_safe"
  | "by_person"
  | "busy"
  | "switched_off"
  | "cannot_end"
  | "ended"
  | "budget_spent"
  | "out_of_range"
  | "too_large"
  | "trials_unreadable"
  | "coordinator_older"
  | "import_refused"
  | "not_a_file"
  | "not_built"
  | "no_git"
  | "no_page"
  | "port_unusable"
  | "not_published"
  | "npm_failed"
  | "npm_missing"
  | "offline"
  | "environment_decides"
  | "transcript_unusable"
  | "edge_unreachable"
  | "not_released"
  | "not_synced"
  | "other_workspace"
  | "choice_needed"
  | "token_needed"
  | "key_needed"
  | "key_unusable"
  | "secret_needed"
  | "too_many_tasks"
  | "no_project"
  | "no_snapshot"
  | "project_elsewhere"
  | RestoreErrorCode;

/** Why saved files could not be written. */
export type RestoreErrorCode =
  | "snapshot_missing"
  | "folder_not_empty"
  | "branch_exists"
  | "bad_branch_name"
  | "not_a_work_tree"
  | "commit_missing"
  | "bundle_unusable"
  | "restore_failed";

export interface MachineOperationDetails<Input extends z.ZodObject, Output extends z.ZodType> {
  readonly summary: string;
  readonly input: Input;
  readonly output: Output;
  readonly errors?: readonly HostErrorCode[];
  /** The most that it does. */
  readonly effect: MachineEffect;
  readonly surfaces: readonly MachineSurface[];
  /** An input, for documents and tests. */
  readonly example: z.input<Input>;
}

export interface MachineOperationOf<
  Input extends z.ZodObject,
  Output extends z.ZodType,
> extends MachineOperationDetails<Input, Output> {
  readonly errors: readonly HostErrorCode[];
}

export type MachineOperation = MachineOperationOf<z.ZodObject, z.ZodType>;

/** Declares an operation of a machine. It is repeatable: a call without an answer is sent again. */
export function machineOperation<Input extends z.ZodObject, Output extends z.ZodType>(
  details: MachineOperationDetails<Input, Output>,
): MachineOperationOf<Input, Output> {
  return { errors: [], ...details };
}

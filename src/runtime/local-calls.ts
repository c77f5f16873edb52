import type { CallError } from "../contract/errors.ts";
import type { InputOf, OperationName, OutputOf } from "../contract/operations.ts";
import type { Result } from "../shared/result.ts";

/** The coordinator of a machine that has joined no workspace, as one process calls it. */
export interface LocalCalls {
  /** @throws {CallLostError} */
  call<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    timeoutMs: number,
  ): Result<OutputOf<Name>, CallError> | Promise<Result<OutputOf<Name>, CallError>>;
  /** Calls `listener` after commits of others, soon after each. @returns ends that */
  onCommit(listener: () => void): () => void;
  close(): void;
}

/** No answer came. */
export class CallLostError extends Error {
  override readonly name = "CallLostError";
  /** False: the call has reached nothing. */
  readonly isSent: boolean;

  constructor(message: string, isSent: boolean) {
    super(message);
    this.isSent = isSent;
  }
}

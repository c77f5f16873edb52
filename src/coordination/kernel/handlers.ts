import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { ok, type Result } from "../../shared/result.ts";
import { requireLiveChat, type LivenessRow } from "./chat-rows.ts";
import { once } from "./idempotency.ts";
import type { Actor, Tx } from "./tx.ts";

/** Operations on connections and tokens, which the host answers itself. */
type HostOperation = "state.watch" | "state.unwatch" | "tokens.create" | "tokens.list" | "tokens.revoke" | "health";

/** One transaction, which the host rolls back on a refusal or an exception. */
type Handler<Input, Output> = (tx: Tx, input: Input, actor: Actor) => Result<Output, Refusal>;

export type Handlers = {
  readonly [Name in Exclude<OperationName, HostOperation>]: Handler<CheckedInputOf<Name>, OutputOf<Name>>;
};

/**
 * Runs several requests of one frame with few statements, where all succeed. Returns what the
 * handler would return for each, in order, and leaves the same rows and hints; null, without a
 * write, where its simple case does not apply.
 */
type SetHandler<Input, Output> = (tx: Tx, inputs: readonly Input[], actor: Actor) => readonly Output[] | null;

export type SetHandlers = {
  readonly [Name in keyof Handlers]?: SetHandler<CheckedInputOf<Name>, OutputOf<Name>>;
};

/** Runs for a live chat only, in its present incarnation; the call counts as its activity. */
export function byLiveChat<Input extends { readonly self: Self }, Output>(
  work: (tx: Tx, input: Input, caller: LivenessRow) => Result<NoInfer<Output>, Refusal>,
): Handler<Input, Output> {
  return (tx, input) => {
    const caller = requireLiveChat(tx, input.self);
    return caller.ok ? work(tx, input, caller.value) : caller;
  };
}

const withoutEffect = new WeakSet<object>();

/** [RQ3] An answer of a request that has changed nothing, which is not stored. */
export function unchanged<T extends object>(value: T): Result<T, never> {
  withoutEffect.add(value);
  return ok(value);
}

/** [RQ6] Request ids of operations without a chat belong to the machine of the token. */
export function repeatable<Input extends { readonly requestId?: string | undefined }, Output extends object>(
  operation: keyof Handlers,
  handler: Handler<Input, NoInfer<Output>>,
): Handler<Input, Output> {
  return (tx, input, actor) =>
    once(
      tx,
      { operation, requestId: input.requestId, input },
      () => handler(tx, input, actor),
      (value) => !withoutEffect.has(value),
    ).result;
}

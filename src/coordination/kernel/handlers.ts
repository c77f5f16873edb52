import type { CheckedInputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { ok, type Result } from "../../shared/result.ts";
import { requireLiveChat, type LivenessRow } from "./chat-rows.ts";
import { once } from "./idempotency.ts";
import type { Actor, List, Tx } from "./tx.ts";

/** Operations on connections, tokens and the storage, which the host answers itself. */
export type HostOperation =
  | "state.watch"
  | "state.unwatch"
  | "boxes.create"
  | "tokens.create"
  | "tokens.renew"
  | "tokens.list"
  | "tokens.revoke"
  | "workspace.restore"
  | "workspace.delete"
  | "health";

/** Operations whose requests of one frame run together, with few statements. */
type ListOperation =
  | "leases.acquire"
  | "leases.renew"
  | "leases.release"
  | "state.get"
  | "state.set"
  | "state.update"
  | "state.delete"
  | "tasks.ack";

/** One transaction, which the host rolls back on a refusal or an exception. */
type Handler<Input, Output> = (tx: Tx, input: Input, actor: Actor) => Result<Output>;

export type Handlers = {
  readonly [Name in Exclude<OperationName, HostOperation | ListOperation>]: Handler<
    CheckedInputOf<Name>,
    OutputOf<Name>
  >;
};

/**
 * Runs the first requests of a list, at least one, in one transaction, and leaves what they would
 * leave one by one. Returns their results in order; the host runs the others after them. A refusal
 * is the only result.
 */
export type ListHandler<Input, Output> = (tx: Tx, inputs: List<Input>, actor: Actor) => readonly Result<Output>[];

export type ListHandlers = {
  readonly [Name in ListOperation]: ListHandler<CheckedInputOf<Name>, OutputOf<Name>>;
};

/** Result of a list of one, or the refusal of another. */
export function firstOf<T>(results: readonly T[]): T {
  const [first] = results;
  if (first === undefined) throw new Error("a list of requests has no result");
  return first;
}

/** Runs for a live chat only, in its present incarnation; the call counts as its activity. */
export function byLiveChat<Input extends { readonly self: Self }, Output>(
  work: (tx: Tx, input: Input, caller: LivenessRow) => Result<NoInfer<Output>>,
): Handler<Input, Output> {
  return (tx, input) => {
    const caller = requireLiveChat(tx, input.self);
    return caller.ok ? work(tx, input, caller.value) : caller;
  };
}

/** The same for the first requests of a list that come from one process. */
export function byOneChat<Input extends { readonly self: Self }, Output>(
  work: (tx: Tx, inputs: List<Input>, caller: LivenessRow) => readonly Result<NoInfer<Output>>[],
): ListHandler<Input, Output> {
  return (tx, inputs) => {
    const [first, ...others] = inputs;
    const caller = requireLiveChat(tx, first.self);
    if (!caller.ok) return [caller];
    const { chat, incarnation } = first.self;
    const foreign = others.findIndex(({ self }) => self.chat !== chat || self.incarnation !== incarnation);
    return work(tx, foreign < 0 ? inputs : [first, ...others.slice(0, foreign)], caller.value);
  };
}

const withoutEffect = new WeakSet<object>();

/** An answer of a request that has changed nothing, which is not stored. */
export function unchanged<T extends object>(value: T): Result<T, never> {
  withoutEffect.add(value);
  return ok(value);
}

/** Request ids of operations without a chat belong to the machine of the token. */
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

/** Whether a row has the values of a filter; undefined counts as absent. */
export function hasFields<Filter extends object>(row: { readonly [Name in keyof Filter]?: unknown }, filter: Filter) {
  return Object.entries(filter).every(([name, value]) => value === undefined || row[name as keyof Filter] === value);
}

const mostText = 1_000_000;

/** Leading items that fit in one answer: at most `limit`, about this much text, at least one. */
export function page<T>(items: readonly T[], limit: number, textOf: (item: T) => number): readonly T[] {
  let text = 0;
  const end = items.findIndex((item, at) => (text += textOf(item)) > mostText && at > 0);
  return items.slice(0, end < 0 ? limit : Math.min(end, limit));
}

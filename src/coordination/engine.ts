import type { Refusal } from "../contract/errors.ts";
import type { CheckedInputOf, OperationName, OutputOf } from "../contract/operations.ts";
import type { ClaimedTaskReference } from "../contract/tasks.ts";
import type { Result } from "../shared/result.ts";
import * as chats from "./chats/chats.ts";
import * as audit from "./kernel/audit.ts";
import { firstOf, type Handlers, type ListHandlers } from "./kernel/handlers.ts";
import type { Actor, List, Tx } from "./kernel/tx.ts";
import * as elections from "./leases/elections.ts";
import * as leases from "./leases/leases.ts";
import * as messages from "./messages/messages.ts";
import * as plans from "./plans/plans.ts";
import * as explain from "./scheduling/explain.ts";
import * as schedules from "./schedules/schedules.ts";
import * as state from "./state/state.ts";
import * as syncPut from "./sync/sync-put.ts";
import * as sync from "./sync/sync.ts";
import { countLateCall } from "./tasks/attempt-rows.ts";
import * as attempts from "./tasks/attempts.ts";
import * as budgets from "./tasks/budgets.ts";
import * as claims from "./tasks/claims.ts";
import * as deadLetters from "./tasks/dead-letters.ts";
import * as submit from "./tasks/submit.ts";
import * as routes from "./tasks/routes.ts";
import * as taskQueries from "./tasks/task-queries.ts";
import * as taskStats from "./tasks/task-stats.ts";
import * as freeze from "./workspace/freeze.ts";
import * as metrics from "./workspace/metrics.ts";
import * as settings from "./workspace/settings.ts";
import * as transfer from "./transfer.ts";

export type EngineOperation = keyof Handlers | keyof ListHandlers;
export type HostOperation = Exclude<OperationName, EngineOperation>;

const handlers: Handlers = {
  ...chats.handlers,
  ...leases.handlers,
  ...elections.handlers,
  ...state.handlers,
  ...messages.handlers,
  ...submit.handlers,
  ...claims.handlers,
  ...attempts.handlers,
  ...taskQueries.handlers,
  ...taskStats.handlers,
  ...explain.handlers,
  ...routes.handlers,
  ...deadLetters.handlers,
  ...schedules.handlers,
  ...plans.handlers,
  ...sync.handlers,
  ...syncPut.handlers,
  ...budgets.handlers,
  ...settings.handlers,
  ...freeze.handlers,
  ...transfer.handlers,
  ...metrics.handlers,
  ...audit.handlers,
};

const lists: ListHandlers = { ...leases.lists, ...state.lists, ...attempts.lists };

export function isEngineOperation(name: string): name is EngineOperation {
  return Object.hasOwn(handlers, name) || isListOperation(name);
}

/** Whether requests of a frame may run together. */
export function isListOperation(name: string): name is keyof ListHandlers {
  return Object.hasOwn(lists, name);
}

/** Runs one operation; the host rolls back its transaction on a refusal or an exception. */
export function run<Name extends EngineOperation>(
  tx: Tx,
  actor: Actor,
  name: Name,
  input: CheckedInputOf<Name>,
): Result<OutputOf<Name>, Refusal> {
  return firstOf(runFirst(tx, actor, name, [input]));
}

/** Runs the first of several requests of one operation, at least one: see `ListHandler`. */
export function runFirst<Name extends EngineOperation>(
  tx: Tx,
  actor: Actor,
  name: Name,
  inputs: List<CheckedInputOf<Name>>,
): readonly Result<OutputOf<Name>, Refusal>[] {
  const withActor = { ...tx, actor };
  if (isListOperation(name)) return lists[name](withActor, inputs, actor);
  return [handlers[name as Exclude<Name, keyof ListHandlers>](withActor, inputs[0], actor)];
}

/** Runs after the operation's rollback, in a transaction of its own; null: nothing to do. */
export function followUpOf(input: unknown, refusal: Refusal): ((tx: Pick<Tx, "sql">) => void) | null {
  if (refusal.code !== "stale_claim") return null;
  const { self, task, claim } = input as ClaimedTaskReference;
  return (tx) => countLateCall(tx, task, claim, self.chat);
}

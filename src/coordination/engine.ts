import type { Refusal } from "../contract/errors.ts";
import type { CheckedInputOf, OperationName, OutputOf } from "../contract/operations.ts";
import type { HoldTask } from "../contract/tasks.ts";
import { ok, type Result } from "../shared/result.ts";
import { countLateCall } from "./tasks/attempt-rows.ts";
import * as attempts from "./tasks/attempts.ts";
import * as audit from "./kernel/audit.ts";
import * as budgets from "./tasks/budgets.ts";
import { cancel } from "./tasks/cancel.ts";
import * as changes from "./kernel/changes.ts";
import * as chats from "./chats/chats.ts";
import { claim } from "./tasks/claims.ts";
import * as deadLetters from "./tasks/dead-letters.ts";
import * as elections from "./leases/elections.ts";
import { once } from "./kernel/idempotency.ts";
import * as leases from "./leases/leases.ts";
import * as messages from "./messages/messages.ts";
import * as plans from "./plans/plans.ts";
import * as settings from "./workspace/settings.ts";
import * as state from "./state/state.ts";
import { submit } from "./tasks/submit.ts";
import * as sync from "./sync/sync.ts";
import * as syncDevices from "./sync/sync-devices.ts";
import * as syncFiles from "./sync/sync-files.ts";
import { push } from "./sync/sync-push.ts";
import { load } from "./scheduling/task-load.ts";
import { progress } from "./tasks/task-progress.ts";
import * as taskQueries from "./tasks/task-queries.ts";
import { stats } from "./tasks/task-stats.ts";
import * as topicSchemas from "./messages/topic-schemas.ts";
import type { Actor, Tx } from "./kernel/tx.ts";

export type HostOperation =
  | "state.watch"
  | "state.unwatch"
  | "tokens.create"
  | "tokens.list"
  | "tokens.revoke"
  | "health";
export type EngineOperation = Exclude<OperationName, HostOperation>;

type Handlers = {
  readonly [Name in EngineOperation]: (
    tx: Tx,
    input: CheckedInputOf<Name>,
    actor: Actor,
  ) => Result<OutputOf<Name>, Refusal>;
};

const handlers: Handlers = {
  "chats.register": (tx, input, actor) => chats.register(tx, actor, input),
  "chats.heartbeat": chats.heartbeat,
  "chats.list": (tx, input) => ok(chats.list(tx, input)),
  "chats.get": (tx, { chat }) => chats.get(tx, chat),
  "chats.unregister": chats.unregister,
  "chats.drain": chats.drain,
  "chats.attest-death": (tx, input, actor) => chats.attestDeath(tx, actor, input),
  "leases.acquire": leases.acquire,
  "leases.renew": leases.renew,
  "leases.release": leases.release,
  "leases.cancel-wait": leases.cancelWait,
  "leases.check": (tx, input) => ok(leases.check(tx, input)),
  "leases.list": (tx, input) => ok(leases.list(tx, input)),
  "leases.force-release": (tx, input, actor) =>
    onceForMachine(tx, "leases.force-release", input, () => leases.forceRelease(tx, actor, input)),
  "elections.campaign": elections.campaign,
  "elections.renew": elections.renew,
  "elections.resign": elections.resign,
  "elections.observe": (tx, { name }) => ok(elections.observe(tx, name)),
  "state.get": (tx, { key }) => ok(state.get(tx, key)),
  "state.set": state.set,
  "state.delete": state.remove,
  "state.list": (tx, input) => ok(state.list(tx, input)),
  "state.update": (tx, input) => state.update(tx, input),
  "state.changes": ({ sql }, input) => changes.pull(sql, input),
  "messages.send": messages.send,
  "messages.subscribe": messages.subscribe,
  "messages.unsubscribe": messages.unsubscribe,
  "messages.pull": messages.pull,
  "messages.ack": messages.ack,
  "messages.set-topic-schema": topicSchemas.set,
  "messages.list-topic-schemas": ({ sql }, input) => ok(topicSchemas.list(sql, input)),
  "tasks.submit": submit,
  "tasks.claim": claim,
  "tasks.start": attempts.start,
  "tasks.heartbeat": attempts.heartbeat,
  "tasks.ack": attempts.ack,
  "tasks.nack": attempts.nack,
  "tasks.extend": attempts.extend,
  "tasks.release": attempts.release,
  "tasks.cancel": cancel,
  "tasks.get": taskQueries.get,
  "tasks.list": (tx, input) => ok(taskQueries.list(tx, input)),
  "tasks.tree": taskQueries.tree,
  "tasks.history": taskQueries.history,
  "tasks.progress": (tx, input) => ok(progress(tx, input)),
  "tasks.stats": (tx, input) => ok(stats(tx, input)),
  "tasks.load": (tx) => ok(load(tx)),
  "tasks.replay": deadLetters.replay,
  "tasks.discard": deadLetters.discard,
  "plans.estimate": plans.estimate,
  "plans.submit": plans.submit,
  "sync.begin": (tx, input, actor) => syncDevices.begin(tx, actor, input),
  "sync.push": (tx, input, actor) => push(tx, actor, input),
  "sync.rekey": (tx, input, actor) => syncDevices.rekey(tx, actor, input),
  "sync.list": (tx, input) => ok(sync.list(tx, input)),
  "sync.checkpoints": sync.checkpoints,
  "sync.checkpoint": sync.checkpoint,
  "sync.put-files": (tx, input, actor) => syncFiles.put(tx, actor, input),
  "sync.files": syncFiles.get,
  "sync.take": sync.take,
  "sync.give-back": (tx, input, actor) => sync.release(tx, actor, input),
  "sync.status": (tx, { device }) => ok(syncDevices.status(tx, device)),
  "sync.purge": (tx, input, actor) => syncDevices.purge(tx, actor, input),
  "budgets.get": (tx) => ok(budgets.get(tx)),
  "settings.get": (tx) => ok({ settings: tx.settings }),
  "settings.set": (tx, input, actor) => ok(settings.set(tx, actor, input)),
  "audit.list": (tx, input) => ok(audit.list(tx, input)),
  "epoch.raise": (tx, input, actor) =>
    onceForMachine(tx, "epoch.raise", input, () => settings.raiseEpoch(tx, actor, input)),
};

/** [RQ6] Request ids of operations without a chat belong to the machine of the token. */
function onceForMachine<T extends object>(
  tx: Tx,
  operation: EngineOperation,
  input: { readonly requestId?: string | undefined },
  work: () => T,
): Result<T, Refusal> {
  return once(tx, { operation, requestId: input.requestId, input }, () => ok(work())).result;
}

export function isEngineOperation(name: string): name is EngineOperation {
  return Object.hasOwn(handlers, name);
}

/** Runs one operation; the host rolls back its transaction on a refusal or an exception. */
export function run<Name extends EngineOperation>(
  tx: Tx,
  actor: Actor,
  name: Name,
  input: CheckedInputOf<Name>,
): Result<OutputOf<Name>, Refusal> {
  return handlers[name]({ ...tx, actor }, input, actor);
}

/** [TA5] Runs after the operation's rollback, in a transaction of its own; null: nothing to do. */
export function followUpOf(input: unknown, { code }: Refusal): ((tx: Pick<Tx, "sql">) => void) | null {
  if (code !== "stale_claim") return null;
  const { self, task, claim } = input as HoldTask;
  return (tx) => countLateCall(tx, task, claim, self.chat);
}

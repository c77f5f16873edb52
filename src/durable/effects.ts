import type { CheckedInputOf, OperationName } from "../contract/operations.ts";
import * as chatRows from "../coordination/kernel/chat-rows.ts";
import type { Sql } from "../shared/sql.ts";

/**
 * read: no change. keep: keeps or ends what a chat has (renewals, heartbeats, acknowledgements,
 * releases). free: deletes, or only changes limits. grow: adds.
 */
type Effect = "read" | "keep" | "free" | "grow";

const effects: { readonly [Name in OperationName]: Effect | ((input: CheckedInputOf<Name>, sql: Sql) => Effect) } = {
  // A chat that lost its connection must register before it can renew anything.
  "chats.register": ({ chat }, sql) => (chatRows.findLiveness({ sql }, chat) ? "keep" : "grow"),
  "chats.heartbeat": "keep",
  "chats.list": "read",
  "chats.get": "read",
  "chats.unregister": "keep",
  "chats.drain": "keep",
  "chats.attest-death": "keep",
  "leases.acquire": "grow",
  "leases.renew": "keep",
  "leases.release": "keep",
  "leases.cancel-wait": "keep",
  "leases.check": "read",
  "leases.list": "read",
  "leases.force-release": "free",
  "elections.campaign": "grow",
  "elections.renew": "keep",
  "elections.resign": "keep",
  "elections.observe": "read",
  "state.get": "read",
  "state.set": "grow",
  "state.delete": "free",
  "state.list": "read",
  "state.update": ({ writes }) => (writes.some(({ op }) => op === "set") ? "grow" : "free"),
  "state.changes": "read",
  "state.watch": "read",
  "state.unwatch": "read",
  "messages.send": "grow",
  "messages.subscribe": "grow",
  "messages.unsubscribe": "free",
  "messages.pull": "read",
  "messages.list": "read",
  "messages.ack": "keep",
  "messages.set-topic-schema": ({ schema }) => (schema === null ? "free" : "grow"),
  "messages.list-topic-schemas": "read",
  "tasks.submit": "grow",
  "tasks.claim": "grow",
  "tasks.start": "keep",
  "tasks.heartbeat": "keep",
  "tasks.ack": "keep",
  "tasks.nack": "keep",
  "tasks.extend": "keep",
  "tasks.release": "keep",
  "tasks.cancel": "free",
  "tasks.get": "read",
  "tasks.list": "read",
  "tasks.tree": "read",
  "tasks.history": "read",
  "tasks.progress": "read",
  "tasks.stats": "read",
  "tasks.routes": "read",
  "tasks.load": "read",
  "tasks.replay": "grow",
  "tasks.discard": "free",
  "schedules.create": "grow",
  "schedules.list": "read",
  "schedules.get": "read",
  "schedules.pause": "free",
  "schedules.resume": "free",
  "schedules.delete": "free",
  "schedules.run": "grow",
  "plans.estimate": "read",
  "plans.submit": "grow",
  "sync.begin": "grow",
  "sync.push": ({ ops }) => (ops.some(({ kind }) => kind !== "forget") ? "grow" : "free"),
  "sync.rekey": "free",
  "sync.list": "read",
  "sync.checkpoints": "read",
  "sync.checkpoint": "read",
  "sync.put-files": "grow",
  "sync.files": "read",
  "sync.take": "grow",
  "sync.give-back": "free",
  "sync.status": "read",
  "sync.purge": "free",
  "settings.get": "read",
  "settings.set": "free",
  "budgets.get": "read",
  "audit.list": "read",
  "epoch.raise": "keep",
  "tokens.create": "grow",
  "tokens.list": "read",
  "tokens.revoke": "free",
  metrics: "read",
  health: "read",
};

export function effectOf<Name extends OperationName>(name: Name, input: CheckedInputOf<Name>, sql: Sql): Effect {
  const effect: Effect | ((input: CheckedInputOf<Name>, sql: Sql) => Effect) = effects[name];
  return typeof effect === "function" ? effect(input, sql) : effect;
}

export function keepsWork(name: OperationName): boolean {
  return effects[name] === "keep" || name === "chats.register";
}

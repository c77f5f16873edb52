import type { Effect, Operation } from "../contract/operation.ts";
import { operations, type CheckedInputOf, type OperationName } from "../contract/operations.ts";
import * as chatRows from "../coordination/kernel/chat-rows.ts";
import type { Sql } from "../shared/sql.ts";

/** The effect that an operation with this input has on the workspace. */
export function effectOf<Name extends OperationName>(name: Name, input: CheckedInputOf<Name>, sql: Sql): Effect {
  const operation: Operation = operations[name];
  if (name === "chats.register") {
    const { chat } = input as CheckedInputOf<"chats.register">;
    return chatRows.findLiveness({ sql }, chat) ? "keep" : "grow";
  }
  return operation.effectOf?.(input) ?? operation.effect;
}

/** A chat that lost its connection must register before it can renew anything. */
export function keepsWork(name: OperationName): boolean {
  return operations[name].effect === "keep" || name === "chats.register";
}

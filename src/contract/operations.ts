import type * as z from "zod";
import { chatOperations } from "./chat-operations.ts";
import { leaseOperations } from "./lease-operations.ts";
import { messageOperations } from "./message-operations.ts";
import { planOperations } from "./plan-operations.ts";
import { stateOperations } from "./state-operations.ts";
import { syncOperations } from "./sync-operations.ts";
import { taskOperations } from "./task-operations.ts";
import { workspaceOperations } from "./workspace-operations.ts";

export const operations = {
  ...chatOperations,
  ...leaseOperations,
  ...stateOperations,
  ...messageOperations,
  ...taskOperations,
  ...planOperations,
  ...syncOperations,
  ...workspaceOperations,
} as const;

export type OperationName = keyof typeof operations;
export type InputOf<Name extends OperationName> = z.input<(typeof operations)[Name]["input"]>;
export type CheckedInputOf<Name extends OperationName> = z.output<(typeof operations)[Name]["input"]>;
export type OutputOf<Name extends OperationName> = z.output<(typeof operations)[Name]["output"]>;

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}

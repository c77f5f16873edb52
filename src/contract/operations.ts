import type * as z from "zod";
import { chatOperations } from "./chats.ts";
import type { itemFields } from "./item-fields.ts";
import { electionOperations, leaseOperations } from "./leases.ts";
import { messageOperations } from "./messages.ts";
import { boxOperations } from "./sealed-boxes.ts";
import { routeOperations } from "./model-routes.ts";
import type { Surface } from "./operation.ts";
import { planOperations } from "./plans.ts";
import { stateOperations } from "./state.ts";
import { syncOperations } from "./sync.ts";
import { taskViewOperations } from "./task-views.ts";
import { taskOperations } from "./tasks.ts";
import { workspaceOperations } from "./workspaces.ts";

export const operations = {
  ...chatOperations,
  ...leaseOperations,
  ...electionOperations,
  ...stateOperations,
  ...messageOperations,
  ...taskOperations,
  ...taskViewOperations,
  ...routeOperations,
  ...planOperations,
  ...syncOperations,
  ...workspaceOperations,
  ...boxOperations,
};

export type OperationName = keyof typeof operations;
/** Operations that a surface offers; it refuses all others, whatever the token may do. */
export type OfferedOn<On extends Surface> = {
  readonly [Name in OperationName]: On extends (typeof operations)[Name]["surfaces"][number] ? Name : never;
}[OperationName];
export type InputOf<Name extends OperationName> = z.input<(typeof operations)[Name]["input"]>;
export type CheckedInputOf<Name extends OperationName> = z.output<(typeof operations)[Name]["input"]>;
export type OutputOf<Name extends OperationName> = z.output<(typeof operations)[Name]["output"]>;

/** Those that a client calls by name: for a connection's own it has methods. */
export type CallName = Exclude<OperationName, "chats.unregister" | "state.watch" | "state.unwatch">;
/** A client fills in `self` and `requestId` where they are left out. */
export type CallInput<Name extends OperationName> = Omit<InputOf<Name>, "self" | "requestId"> &
  Partial<Pick<InputOf<Name>, Extract<keyof InputOf<Name>, "self" | "requestId">>>;

export const operationNames = Object.keys(operations) as OperationName[];

export function offeredOn<On extends Surface>(surface: On): OfferedOn<On>[] {
  const isOffered = (name: OperationName): name is OfferedOn<On> =>
    operations[name].surfaces.some((one: Surface) => one === surface);
  return operationNames.filter(isOffered);
}

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}

export type PagedOperation = keyof typeof itemFields;
type FieldOf<Name extends PagedOperation> = (typeof itemFields)[Name] & keyof OutputOf<Name>;
export type ItemOf<Name extends PagedOperation> = OutputOf<Name>[FieldOf<Name>] extends readonly (infer Item)[]
  ? Item
  : never;

export interface Pages {
  readonly cursor?: string;
  /** Ends with the page that brings so many items; absent: with the last. */
  readonly max?: number;
}

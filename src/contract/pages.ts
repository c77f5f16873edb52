import type { OutputOf } from "./operations.ts";

/** Operations that answer a page at a time, each with the field that holds the items. */
export const itemFields = {
  "audit.list": "entries",
  "chats.list": "chats",
  "leases.list": "leases",
  "state.list": "entries",
  "tasks.history": "attempts",
  "tasks.list": "tasks",
} as const;

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

import * as z from "zod";
import { counter, durationMs, Id, Self } from "./values.ts";

const ElectionName = Id;

export const Leader = z.object({
  name: ElectionName,
  leader: Id,
  incarnation: z.int(),
  /** Fencing token of the leader; grows with each change of the leader. */
  term: counter,
  ttlMs: durationMs,
  remainingMs: durationMs,
});
export type Leader = z.infer<typeof Leader>;

export const Campaign = {
  input: z.strictObject({
    self: Self,
    name: ElectionName,
    requestId: Id,
    ttlMs: z.int().min(1_000).max(600_000).default(30_000),
    waitMs: z.int().min(0).max(3_600_000).default(0),
  }),
  output: z.discriminatedUnion("state", [
    z.object({ state: z.literal("leading"), leader: Leader }),
    z.object({ state: z.literal("following"), leader: Leader.nullable(), position: z.int().nullable() }),
  ]),
};
export type Campaign = z.infer<typeof Campaign.input>;

export const RenewTerm = {
  input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
  output: Leader,
};
export type RenewTerm = z.infer<typeof RenewTerm.input>;

export const Resign = {
  input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
  output: z.object({ hasResigned: z.boolean() }),
};
export type Resign = z.infer<typeof Resign.input>;

export const ObserveElection = {
  input: z.strictObject({ name: ElectionName }),
  output: z.object({ leader: Leader.nullable() }),
};
export type ObserveElection = z.infer<typeof ObserveElection.input>;

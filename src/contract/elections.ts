import * as z from "zod";
import { chatErrors, operation } from "./operation.ts";
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

export const electionOperations = {
  "elections.campaign": operation("POST /elections/campaign", "work", {
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
    errors: [...chatErrors, "quota_exceeded"],
    summary: "Becomes the leader where there is none, or stands in line.",
  }),
  "elections.renew": operation("POST /elections/renew", "work", {
    input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
    output: Leader,
    errors: [...chatErrors, "not_holder"],
    summary: "The leader stays.",
  }),
  "elections.resign": operation("POST /elections/resign", "work", {
    input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
    output: z.object({ hasResigned: z.boolean() }),
    errors: chatErrors,
    summary: "The leader goes; the next in line follows at once.",
  }),
  "elections.observe": operation("GET /elections", "observe", {
    input: z.strictObject({ name: ElectionName }),
    output: z.object({ leader: Leader.nullable() }),
    summary: "Who leads. Changes of it are told to watches of `$leader/`.",
  }),
} as const;

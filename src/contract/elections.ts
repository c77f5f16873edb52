import * as z from "zod";
import { chatErrors, operation } from "./operation.ts";
import { exampleSelf, counter, durationMs, Id, Self } from "./values.ts";

const ElectionName = Id;

/** An election is a lease on its name behind this; its token is the term. */
export const leaderScheme = "leader:";

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
    summary: "Becomes the leader if there is none, or waits in the queue.",
    effect: "grow",
    example: { self: exampleSelf, name: "main", requestId: "r2" },
  }),
  "elections.resign": operation("POST /elections/resign", "work", {
    input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
    output: z.object({ hasResigned: z.boolean() }),
    errors: chatErrors,
    summary: "The leader resigns; the next waiter becomes the leader at once.",
    effect: "keep",
    example: { self: exampleSelf, name: "main", term: 1 },
  }),
  "elections.observe": operation("GET /elections", "observe", {
    input: z.strictObject({ name: ElectionName }),
    output: z.object({ leader: Leader.nullable() }),
    summary: "Returns the current leader. Watches of `$leader/` receive its changes.",
    effect: "read",
    example: { name: "main" },
  }),
} as const;

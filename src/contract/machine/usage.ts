import * as z from "zod";
import { Moment } from "./forms.ts";
import { machineOperation } from "./operation.ts";

export const Grouping = z.enum(["day", "session", "project", "model", "task"]);
export type Grouping = z.infer<typeof Grouping>;

const count = z.int().min(0);

export const UsageLine = z.object({
  /** Day, id, folder, model or number; null: no project, or no task. */
  key: z.string().nullable(),
  /** Responses of the model. */
  responses: count,
  /** Tokens. */
  input: count,
  output: count,
  cacheRead: count,
  cacheWrite: count,
  clientCostUsd: z.number(),
  /** Covers sessions whose client reports no cost. */
  estimatedCostUsd: z.number(),
  unpricedTokens: count,
});
export type UsageLine = z.infer<typeof UsageLine>;

export const usageOperations = {
  "usage.list": machineOperation({
    summary: "Tokens and cost of the chats of this machine.",
    input: z.strictObject({
      by: Grouping.default("day").describe("grouped by"),
      since: Moment.optional().describe("from that day on: 7d, 2026-11-20"),
    }),
    output: z.object({
      by: Grouping,
      since: z.int().nullable(),
      /** `shortId` and `title` only of sessions. */
      lines: z.array(UsageLine.extend({ shortId: z.string().optional(), title: z.string().optional() })),
      total: UsageLine,
      /** Date of `usage.prices`, as the user wrote it. */
      pricesAsOf: z.string().nullable(),
    }),
    effect: "read",
    example: { by: "model" },
  }),
};

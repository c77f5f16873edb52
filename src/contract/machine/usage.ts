import * as z from "zod";
import { metrics, type MetricName } from "../metrics.ts";
import { declare } from "../operation.ts";
import { Moment, count } from "./operation.ts";

export const Grouping = z.enum(["day", "session", "project", "model", "task"]);
export type Grouping = z.infer<typeof Grouping>;

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

const PricedTokens = z.object({
  tokens: z.int(),
  low: z.int(),
  high: z.int(),
  /** Price as uncached input; null: no price is set for the model. */
  dollars: z.number().nullable(),
  pricesAsOf: z.string().nullable(),
  priceNote: z.string(),
});
export type PricedTokens = z.infer<typeof PricedTokens>;

const Sample = z.object({
  name: z.enum(Object.keys(metrics) as [MetricName, ...MetricName[]]),
  labels: z.record(z.string(), z.string()),
  value: z.number(),
  bucket: z.number().nullable().optional(),
  sum: z.number().optional(),
});

export const usageOperations = {
  "usage.list": declare("caller", "read", {
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
    example: { by: "model" },
  }),
  "tokens.estimate": declare("caller", "read", {
    summary: "Estimated tokens of a text, and their price as input.",
    input: z.strictObject({
      text: z.string(),
      model: z.string().optional().describe("the model that reads it; without one the estimate is on the high side"),
    }),
    output: PricedTokens,
    example: { text: "a text", model: "claude-opus-5-5" },
  }),
  "metrics.read": declare("caller", "read", {
    summary: "Metrics of this machine, and of its own coordinator: one on the edge is scraped there.",
    output: z.object({ samples: z.array(Sample) }),
  }),
  "metrics.count-restart": declare("host", "write", {
    summary: "Count what the supervisor has started again.",
    input: z.strictObject({ reason: z.enum(metrics.shim_supervisor_restarts_total.labels.reason) }),
    output: z.object({}),
    example: { reason: "crashed" },
  }),
};

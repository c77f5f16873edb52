import * as z from "zod";
import { metrics, type MetricName } from "../metrics.ts";
import { machineOperation } from "./operation.ts";

const Sample = z.object({
  name: z.enum(Object.keys(metrics) as [MetricName, ...MetricName[]]),
  labels: z.record(z.string(), z.string()),
  value: z.number(),
  bucket: z.number().nullable().optional(),
  sum: z.number().optional(),
});

export const metricOperations = {
  "metrics.read": machineOperation({
    summary: "Metrics of this machine, and of its own coordinator: one on the edge is scraped there.",
    output: z.object({ samples: z.array(Sample) }),
    effect: "read",
  }),
  "metrics.count-restart": machineOperation({
    summary: "Count what the supervisor has started again.",
    input: z.strictObject({ reason: z.enum(metrics.shim_supervisor_restarts_total.labels.reason) }),
    output: z.object({}),
    effect: "write",
    surfaces: [],
    example: { reason: "crashed" },
  }),
};

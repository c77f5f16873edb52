import * as z from "zod";
import { errorTable, isRetryable, type ErrorCode, type Refusal } from "./errors.ts";

/** Apart from the table of codes, which hooks load and the schema library would slow down. */
export const WireError = z.object({
  code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  retryable: z.boolean(),
  retryAfterMs: z.number().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});
export type WireError = z.infer<typeof WireError>;

export function toWire(refusal: Refusal): WireError {
  return { ...refusal, retryable: isRetryable(refusal.code) };
}

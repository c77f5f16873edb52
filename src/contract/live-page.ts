import * as z from "zod";
import type { OfferedOn } from "./operations.ts";

export type PageOperation = OfferedOn<"page">;

/** Body of a call of the page. A repeat under the same request id returns the first answer. */
export const PageCall = z.strictObject({
  name: z.string().max(60),
  input: z.record(z.string(), z.unknown()),
  requestId: z.string().min(1).max(100).optional(),
});
export type PageCall = z.infer<typeof PageCall>;

/** A line of the live stream: what may have changed. */
export interface LiveLine {
  readonly changed: "sessions" | "team" | "tasks" | "messages" | "all";
}

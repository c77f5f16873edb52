import * as z from "zod";
import type { OpportunityPattern } from "./opportunities.ts";
import type { OfferedOn } from "./operations.ts";

/** An experiment with a setting of this machine. */
export interface ExperimentLine {
  readonly id: string;
  /** Setting, its value before, and the value that is tried. */
  readonly change: string;
  readonly state: string;
  readonly isRunning: boolean;
  /** Sessions without and with the new value; null before its canary. */
  readonly sessions: { readonly without: number; readonly with: number } | null;
  readonly stepAgeMs: number;
  /** Figures and reason of the last step. */
  readonly note: string;
  readonly reason: string;
  /** How a person can end it now; null: it is over. */
  readonly ending: { readonly isRevert: boolean; readonly effect: string } | null;
}

const nothing = z.strictObject({});

export const pageInputs = {
  "page.experiments": nothing,
  "page.end-experiment": z.strictObject({ experiment: z.string().min(1).max(60), isRevert: z.boolean() }),
  "page.switch-experiments": z.strictObject({ isOff: z.boolean() }),
} as const;
export type PageCallName = keyof typeof pageInputs;
export type PageInputs = { readonly [Name in PageCallName]: z.input<(typeof pageInputs)[Name]> };

export interface PageOutputs {
  readonly "page.experiments": {
    /** Newest first, 200 at most. */
    readonly experiments: readonly ExperimentLine[];
    /** Since the switch of all is off; null: they may start. */
    readonly offAgeMs: number | null;
    /** Findings of the last `shim learn opportunities` by pattern, until its window has passed. */
    readonly opportunities: readonly { readonly pattern: OpportunityPattern; readonly n: number }[];
    /** Why those of the workspace are missing; null: they are there. */
    readonly trouble: string | null;
  };
  /** State after it. */
  readonly "page.end-experiment": { readonly state: string };
  /** Ids of those that it has stopped. */
  readonly "page.switch-experiments": { readonly stopped: readonly string[] };
}

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

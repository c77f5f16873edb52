import * as z from "zod";
import { Json, Label, whole } from "./values.ts";

const WorkText = whole(z.string().max(20_000));

const FilePath = whole(
  z.string().regex(/^[^\p{Cc}]{1,400}$/u, "1 to 400 characters without control characters"),
).refine((path) => !/(^|\/)\.{0,2}(\/|$)/.test(path), "a path is relative and has no empty part, no . and no ..");

const PartName = z.string().regex(/^[\w.:-]{1,64}$/, "1 to 64 letters, digits and . : _ -");

export const WorkKind = z.enum(["refactor", "migrate", "test", "fix", "document"]);
export type WorkKind = z.infer<typeof WorkKind>;

const JobFile = z.strictObject({
  path: FilePath,
  weight: z.int().min(1).max(1_000_000).default(1),
});
export type JobFile = z.infer<typeof JobFile>;

export const Job = z.strictObject({
  title: Label,
  text: WorkText.default(""),
  /** The whole job goes into the payload of a task. */
  payload: Json.refine((value) => JSON.stringify(value).length <= 65_536, "at most 65,536 characters as JSON").default(
    null,
  ),
  files: z
    .array(JobFile)
    .max(2_000)
    .refine((files) => new Set(files.map(({ path }) => path)).size === files.length, "each file stands here once")
    .default([]),
  kinds: z.array(WorkKind).max(5).default([]),
});
export type Job = z.infer<typeof Job>;

const GivenPart = z.strictObject({
  name: PartName,
  text: WorkText.default(""),
  files: z.array(FilePath).max(2_000).default([]),
  dependsOn: z.array(PartName).max(100).default([]),
});
export type GivenPart = z.infer<typeof GivenPart>;

export const SplitStrategy = z.discriminatedUnion("by", [
  z.strictObject({ by: z.literal("file") }),
  z.strictObject({
    by: z.literal("module"),
    /** Folders of a path that name its module; all when absent. */
    depth: z.int().min(1).max(20).optional(),
  }),
  z.strictObject({
    by: z.literal("phase"),
    phases: z.array(PartName).max(100).default(["analyse", "change", "test", "document"]),
  }),
  z.strictObject({ by: z.literal("list"), parts: z.array(GivenPart).max(100) }),
]);
export type SplitStrategy = z.infer<typeof SplitStrategy>;

/** collect: unchanged results; merge: one JSON object of all; count: how many ended how. */
export const AggregateRule = z.enum(["collect", "merge", "count"]);
export type AggregateRule = z.infer<typeof AggregateRule>;

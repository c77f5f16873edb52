import * as z from "zod";

/** Levels of SARIF. Note: information, which is no problem by itself. */
export const Level = z.enum(["error", "warning", "note"]);
export type Level = z.infer<typeof Level>;

/** Lines and columns count from 1; the end column is the first one after the range. */
export const Range = z.object({
  line: z.int().min(1),
  column: z.int().min(1).optional(),
  endLine: z.int().min(1).optional(),
  endColumn: z.int().min(1).optional(),
});
export type Range = z.infer<typeof Range>;

export const Position = z.object({ file: z.string(), range: Range.nullable() });
export type Position = z.infer<typeof Position>;

/** Another tool that reports the same. */
const SameFinding = z.object({ tool: z.string(), version: z.string().nullable(), rule: z.string() });

export const Finding = z.object({
  tool: z.string(),
  version: z.string().nullable(),
  rule: z.string(),
  level: Level,
  /** Relative to the folder, with `/`. */
  file: z.string(),
  /** The file as a whole has none. */
  range: Range.nullable(),
  message: z.string(),
  /** Name of what is unused, too complex, or missing. */
  symbol: z.string().optional(),
  /** Other copies of duplicated code. */
  related: z.array(Position).optional(),
  /** Stable when lines above it move. */
  fingerprint: z.string(),
  /** Fingerprint without the path, by which a finding of a renamed file is found again. */
  content: z.string(),
  others: z.array(SameFinding).optional(),
  /** Against a baseline or a commit; absent where nothing was compared. */
  isNew: z.boolean().optional(),
});
export type Finding = z.infer<typeof Finding>;

/** A finding as a parser returns it. */
export type RawFinding = Pick<Finding, "rule" | "level" | "file" | "range" | "message" | "symbol" | "related">;

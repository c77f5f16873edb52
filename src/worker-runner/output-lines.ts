import * as z from "zod";
import { Progress } from "../contract/tasks.ts";
import { Json } from "../contract/values.ts";

export type OutputLine =
  | { readonly kind: "text" }
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "checkpoint"; readonly checkpoint: Readonly<Record<string, Json>> };

const ProgressLine = z.strictObject({ shim: z.literal("progress"), ...Progress.shape, note: z.string().optional() });
const CheckpointLine = z.object({ shim: z.literal("checkpoint") }).catchall(Json);

/** [WK16] Worker lines begin with `{"shim":`; one that does not parse is ordinary output. */
export function parseLine(line: string): OutputLine {
  const value = /^\s*\{\s*"shim"\s*:/.test(line) ? parseJson(line) : undefined;
  if (value === undefined) return { kind: "text" };
  const progress = ProgressLine.safeParse(value);
  if (progress.success) {
    const { shim: _shim, ...fields } = progress.data;
    return { kind: "progress", progress: fields };
  }
  const checkpoint = CheckpointLine.safeParse(value);
  if (!checkpoint.success) return { kind: "text" };
  const { shim: _shim, ...fields } = checkpoint.data;
  return { kind: "checkpoint", checkpoint: fields };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

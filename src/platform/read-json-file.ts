import { readFileSync } from "node:fs";
import type * as z from "zod";

/** @returns null for a file that is missing, cannot be read, or has another form */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}

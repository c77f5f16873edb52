import { closeSync, fsyncSync, openSync, readSync, rmSync, writeFileSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type * as z from "zod";
import { syncFolder, withPath } from "./private-files.ts";

/** Makes the file readable by the user only; an incomplete file is removed. */
export function writeLines(path: string, lines: Iterable<string>): number {
  const file = openSync(path, "wx", 0o600);
  let count = 0;
  try {
    for (const line of lines) {
      writeFileSync(file, `${line}\n`);
      count++;
    }
    fsyncSync(file);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(path, { force: true });
    throw withPath(error, path);
  } finally {
    closeSync(file);
  }
  return count;
}

/** Streams a file that may be larger than the memory; the last line may lack its break. */
export function* readFileLines(path: string): Generator<string> {
  const file = openSync(path, "r");
  const decoder = new StringDecoder("utf8");
  const bytes = Buffer.alloc(65_536);
  let partialLine = "";
  try {
    for (;;) {
      const read = readSync(file, bytes);
      if (read === 0) break;
      const lines = (partialLine + decoder.write(bytes.subarray(0, read))).split("\n");
      partialLine = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    closeSync(file);
  }
  if (partialLine !== "") yield partialLine;
}

/** @returns null for a file that is missing, cannot be read, or has another form */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}

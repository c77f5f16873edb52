import { readBytes } from "../transcript/transcript-bytes.ts";
import { codeOf } from "../../shared/error.ts";
import { parseObject, type JsonObject } from "../../shared/json-fields.ts";

/** A client's own settings or index. Null: it is not there, or cannot be read. */
export function readText(path: string): string | null {
  try {
    return readBytes(path).bytes.toString();
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return null;
  }
}

/** The same as JSON; null also for what is no JSON object. */
export function readObject(path: string): JsonObject | null {
  return parseObject(readText(path) ?? "");
}

import { readFileSync } from "node:fs";
import { parseObject, type JsonObject } from "../../shared/json-fields.ts";

/** A client's own settings or index. Null: there is none, or it is no JSON object. */
export function readObject(path: string): JsonObject | null {
  try {
    return parseObject(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

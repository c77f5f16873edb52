import { parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Each beginning that leads to no object is searched to the end of the line. */
const maxFailures = 64;

/**
 * Whole rows that others can name, of a line that is no row: two processes, or one that was killed,
 * wrote without a line break between them. The rest of the line is left out.
 */
export function rowsIn(line: string): JsonObject[] {
  const rows: JsonObject[] = [];
  let failures = 0;
  for (let at = line.indexOf('{"'); at >= 0 && failures < maxFailures;) {
    const end = endOfObject(line, at);
    const row = end < 0 ? null : parseObject(line.slice(at, end));
    if (row === null) failures += 1;
    else if (textAt(row, "uuid") !== null && textAt(row, "type") !== null) rows.push(row);
    at = line.indexOf('{"', row === null ? at + 1 : end);
  }
  return rows;
}

/** @returns where the object ends that begins there; -1: nowhere */
function endOfObject(text: string, from: number): number {
  let [depth, isText] = [0, false];
  for (let at = from; at < text.length; at += 1) {
    const sign = text[at];
    if (isText && sign === "\\") at += 1;
    else if (sign === '"') isText = !isText;
    else if (!isText && sign === "{") depth += 1;
    else if (!isText && sign === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

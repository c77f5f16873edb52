import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import { rowsOfLine } from "../../clients/transcript/transcript-rows.ts";

/**
 * Whole rows that others can name, of a line that is no row: two processes, or one that was killed,
 * wrote without a line break between them. The rest of the line is left out.
 */
export function rowsIn(line: string): JsonObject[] {
  return [...rowsOfLine(Buffer.from(line), 0)].flatMap(({ row }) =>
    row && textAt(row, "uuid") !== null && textAt(row, "type") !== null ? [row] : [],
  );
}

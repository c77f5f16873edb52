import { asObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Parts of a row that `LineFormat` does not keep. */
export interface RowContents {
  /** Results of calls as the model read them; `isCut`: the client had left a part of it out. */
  readonly outputs?: readonly { readonly of: string | null; readonly text: string; readonly isCut: boolean }[];
  /** Call that `readRow` leaves out or shortens, or has as several. */
  readonly call?: { readonly id: string; readonly name: string; readonly input: unknown };
  /** Another row has the calls of this one. */
  readonly repeatsCalls?: boolean;
  readonly images?: number;
  readonly thoughts?: number;
  /** The row is one of a sub-agent's own chat. */
  readonly isOfSubagent?: boolean;
}

/** Number of blocks of such a type. */
export function countOf(blocks: readonly unknown[], type: RegExp): number {
  return blocks.filter((block) => type.test(textAt(asObject(block), "type") ?? "")).length;
}

export type ReadContents = (row: JsonObject) => RowContents;

import { textAt, type JsonObject } from "../../shared/json-fields.ts";

export interface LinkRules {
  /** Others can name the row. */
  isLink(row: JsonObject): boolean;
  /** The client drops the row; those that name it get the one that it names. */
  isPassedOver?(row: JsonObject): boolean;
  /** Rows before this one are left out on purpose. */
  isBoundary?(row: JsonObject): boolean;
  /** Row that the client wrote down as its newest one. */
  newestIn?(row: JsonObject): string | null;
  /** Where a row that is named is not there, the client takes the last one of so long before. */
  readonly bridgeMs: number;
  /** Rows with one id are parts of one message, all of which the client reads. */
  readonly areTwinsJoined?: true;
}

/** The row that each row names; a row that is passed over is replaced by the one that it names. */
export class Parents {
  readonly #passed = new Map<string, string | null>();

  /** Rows are given in the order of the file. */
  of(
    rules: Pick<LinkRules, "isPassedOver">,
    row: JsonObject,
  ): { readonly parent: string | null; readonly isPassedOver: boolean } {
    const named = textAt(row, "parentUuid");
    const parent = named !== null && this.#passed.has(named) ? (this.#passed.get(named) ?? null) : named;
    const isPassedOver = rules.isPassedOver?.(row) === true;
    const id = textAt(row, "uuid");
    if (isPassedOver && id !== null) this.#passed.set(id, parent);
    return { parent, isPassedOver };
  }
}

import { textAt, type JsonObject } from "../../shared/json-fields.ts";

/** Result of a call that the user rejected, as Claude Code writes it. */
export const rejection = "User rejected tool use";
/** Rows of a conversation, the first of which may be a hook's progress. */
const turnTypes: ReadonlySet<unknown> = new Set(["user", "assistant", "progress"]);

/**
 * The end of the session before, at the head of a file. Claude Code (2.1.29) writes there the call
 * with which a plan was rejected and one row behind it, where a new session is to carry it out: no
 * row of the new session names one of these, as the rows of a file do whose head is cut. Older
 * versions (2.0.76 to 2.1.14) begin with what hooks or the system noted at that end, and go on from
 * there: no word is missing.
 */
export class EarlierEnd {
  /** Its first row's id; null: the file begins otherwise; undefined: no row was added. */
  #first: string | null | undefined;
  #parent: string | null = null;
  readonly #behind = new Set<string>();
  #hasStart = false;
  /** Its first row is no turn. */
  #isNoted = false;

  /** Rows are given in the order of the file. */
  add(row: JsonObject): void {
    if (this.#first === null) return;
    const [id, parent] = [textAt(row, "uuid"), textAt(row, "parentUuid")];
    if (this.#first === undefined) {
      if (id === null) return;
      this.#isNoted = row["type"] === "system" && textAt(row, "subtype") !== null;
      this.#first = this.#isNoted || row["toolUseResult"] === rejection ? id : null;
      this.#parent = parent;
    } else if (turnTypes.has(row["type"]) && row["isSidechain"] !== true && !this.#isNoted) {
      if (parent === null) this.#hasStart = true;
      else if (parent === this.#first) this.#behind.add(id ?? "");
      else if (this.#behind.has(parent)) this.#first = null;
    }
  }

  /** Row of the session before that the first one names; null: the file does not begin so. */
  get parent(): string | null {
    return this.#first && (this.#hasStart || this.#isNoted) ? this.#parent : null;
  }
}

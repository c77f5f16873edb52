import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { Damage } from "./transcript-draft.ts";

interface Link {
  readonly parent: string;
  readonly damage: Damage;
}

/** Rows of the conversation; others (progress) name rows that are never written. */
const linkedTypes: ReadonlySet<unknown> = new Set(["user", "assistant", "attachment", "system", "tool_result"]);

/** Follows rows with a `uuid` and a `parentUuid` (Claude Code, Qwen Code). */
export class Links {
  readonly #ids = new Set<string>();
  readonly #links: Link[] = [];
  /** The next row names one that may stand in what could not be read. */
  #isBroken = false;

  /** Whether the file has the row already: a restored backup may repeat rows. */
  isTwin(row: JsonObject): boolean {
    const id = textAt(row, "uuid", 100);
    return id !== null && this.#ids.has(id);
  }

  /** @param damage what it is if the row's parent is nowhere */
  add(row: JsonObject, damage: Damage): void {
    const [id, parent] = [textAt(row, "uuid", 100), textAt(row, "parentUuid", 100)];
    if (id !== null) this.#ids.add(id);
    if (parent === null || row["isSidechain"] === true || !linkedTypes.has(row["type"])) return;
    if (!this.#isBroken) this.#links.push({ parent, damage });
    if (this.#ids.has(parent)) this.#isBroken = false;
  }

  /** A part that could not be read, and that is counted already, stands here. */
  breakOff(): void {
    this.#isBroken = true;
  }

  /** One for each parent that is nowhere, at the first row that names it. */
  unknownParents(): Damage[] {
    const unknown = new Map<string, Damage>();
    for (const { parent, damage } of this.#links)
      if (!this.#ids.has(parent) && !unknown.has(parent)) unknown.set(parent, damage);
    return [...unknown.values()];
  }
}

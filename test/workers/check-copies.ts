import { expect } from "vitest";
import { KeptRows } from "#src/durable/storage-sql.ts";

/** Compares each copy that an object uses with what is stored: no rule may depend on the copies. */
const { get } = Object.getOwnPropertyDescriptors(KeptRows.prototype);
const original = get.value as (key: string) => unknown;

// Files that share a runtime share the class, too.
if (original.name !== "checked") {
  KeptRows.prototype.get = function checked(this: KeptRows<unknown>, key: string): unknown {
    const kept = original.call(this, key);
    expect(kept).toEqual(this.read(key));
    return kept;
  };
}

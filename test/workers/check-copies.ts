import { expect } from "vitest";
import { KeptRows } from "#src/durable/kept-rows.ts";

/** Compares each copy that an object uses with what is stored: no rule may depend on the copies. */
const { get } = Object.getOwnPropertyDescriptors(KeptRows.prototype);

KeptRows.prototype.get = function checked(this: KeptRows<unknown>, key: string): unknown {
  const kept = (get.value as (key: string) => unknown).call(this, key);
  expect(kept).toEqual(this.read(key));
  return kept;
};

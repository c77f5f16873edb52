import { test } from "vitest";
import type { Store } from "#src/store/store.ts";
import { driver } from "./driver.ts";
import { column } from "./store-rows.ts";
import { tempStore } from "./temp-store.ts";

/** Tests each with a store of its own in a home of its own. */
export const it = test
  .extend("home", () => tempStore(driver))
  .extend("store", ({ home }) => home.store)
  .extend("paths", ({ home }) => home.paths);

/** The first column of what a query finds. */
export function found(store: Store, query: string): unknown[] {
  return store.read((sql) => column(sql, query), []);
}

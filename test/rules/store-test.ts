import { test } from "vitest";
import type { Driver } from "#src/store/driver.ts";
import type { Store } from "#src/store/store.ts";
import { column } from "#harness/store/store-rows.ts";
import { tempStore } from "#harness/store/temp-store.ts";

/** Tests of rules, each with a store of its own in a home of its own. */
export function storeTest(driver: Driver) {
  return test
    .extend("home", () => tempStore(driver))
    .extend("store", ({ home }) => home.store)
    .extend("paths", ({ home }) => home.paths);
}

/** The first column of what a query finds. */
export function found(store: Store, query: string): unknown[] {
  return store.read((sql) => column(sql, query), []);
}

import { test } from "vitest";
import { driver, tempStore } from "./store-test.ts";

/** Tests each with a store of its own in a home of its own. Not in store-test.ts: processes of tests import that, too. */
export const it = test
  .extend("home", () => tempStore(driver))
  .extend("store", ({ home }) => home.store)
  .extend("paths", ({ home }) => home.paths);

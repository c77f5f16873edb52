import { integer, table, text } from "../../shared/table.ts";

/** A version is the revision of the last change, so none recurs, even after a deletion. */
export const state = table("state", {
  key: text().primary(),
  value: text(),
  chars: integer(),
  version: integer(),
  at: integer(),
  expiresAt: integer().nullable(),
});

export const stateIndex = "CREATE INDEX state_expiry ON state (expiresAt) WHERE expiresAt IS NOT NULL";

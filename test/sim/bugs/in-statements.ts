import type { SqlValue } from "#src/shared/sql.ts";
import type { Bug } from "../bug.ts";
import type { PatchFor } from "../host/recording-sql.ts";
import { lapses, offs } from "./focus.ts";
import { column, misread, patched, reworded, swallowed } from "./patches.ts";

/** Each resource keeps the token of its first grant. */
function sameToken(): PatchFor {
  const tokens = new Map<SqlValue, SqlValue>();
  return column(/^INSERT INTO leases/, "token", (token, { resource = "" }) => {
    if (!tokens.has(resource)) tokens.set(resource, token);
    return tokens.get(resource) ?? token;
  })();
}

/** Whoever frees a lease does not look who stands in line for it. */
function unseenLine(): PatchFor {
  let isJustFreed = false;
  return (query) => {
    if (query.startsWith("DELETE FROM leases")) {
      return {
        run: (next, values) => {
          isJustFreed = true;
          return next(...values);
        },
      };
    }
    if (!/^SELECT .* FROM waiters WHERE resource (= \? ORDER|> )/.test(query)) return undefined;
    return {
      all: (next, values) => {
        const isBlind = isJustFreed;
        isJustFreed = false;
        return isBlind ? [] : next(...values);
      },
    };
  };
}

/** Between the engine and its database. */
export const inStatements: readonly Bug[] = [
  {
    name: "renews-nothing",
    about: "renewals are answered and not stored",
    patch: swallowed(/^UPDATE leases SET ttlMs = \?, expiresAt = /, 1),
  },
  { name: "keeps-deleted", about: "a deleted key stays", patch: swallowed(/^DELETE FROM state WHERE key /, 1) },
  { name: "token-not-raised", about: "a new grant has the token of the one before", patch: sameToken },
  {
    name: "due-compared-wrongly",
    about: "what is due at this very instant is not due",
    patch: reworded("FROM chats WHERE dueAt <= ?", "FROM chats WHERE dueAt < ?"),
  },
  {
    name: "key-expiry-compared-wrongly",
    within: 60_000,
    about: "a key is over an instant after its time",
    patch: reworded("FROM state WHERE expiresAt <= ?", "FROM state WHERE expiresAt < ?"),
  },
  {
    name: "lease-ends-early",
    about: "a lease is over 1.5 s before its time",
    patch: misread(/^SELECT \* FROM leases WHERE/, "expiresAt", -1_500),
  },
  {
    name: "lease-outlives-its-time",
    focus: lapses,
    about: "a lease is held for minutes after its time",
    patch: misread(/^SELECT \* FROM leases WHERE/, "expiresAt", 600_000),
  },
  {
    name: "lease-freed-by-the-grace",
    within: 60_000,
    focus: offs,
    about: "a chat that goes offline loses its bound leases at once",
    patch: patched(/^UPDATE leases SET isBound = 0/, () => ({ run: (next, [, resource]) => next(0, resource ?? "") })),
  },
  { name: "waiter-not-rechecked", about: "a lease is freed, and the line is not looked at", patch: unseenLine },
  {
    name: "line-ignored",
    about: "whoever asks at the right moment passes those in line",
    patch: () => {
      let count = 0;
      return patched(/^SELECT (?!\(SELECT).* FROM waiters WHERE resource (=|IN|>=) /, () => ({
        all: (next, values) => ((count += 1) % 3 === 0 ? [] : next(...values)),
      }))();
    },
  },
  {
    name: "lock-delay-forgotten",
    focus: lapses,
    about: "after an expiry the next one has it at once",
    patch: swallowed(/^INSERT INTO lock_delays/, 1),
  },
  {
    name: "change-dropped",
    about: "one change in forty is not written down for the watches",
    patch: swallowed(/^INSERT INTO changes/, 40),
  },
  {
    name: "group-torn",
    about: "the changes of one update do not stand together",
    patch: reworded("SELECT ? + key, ?,", "SELECT ? + key, ? + key,"),
  },
  { name: "key-dropped", about: "one write in thirty is not stored", patch: swallowed(/^INSERT INTO state /, 30) },
  {
    name: "expiry-unsent",
    within: 60_000,
    about: "a key expires and no watch is notified",
    patch: swallowed(/^INSERT INTO changes/, 1, (values) => values.includes("expire")),
  },
  { name: "request-forgotten", about: "no request is remembered", patch: swallowed(/^INSERT INTO idempotency/, 1) },
  {
    name: "cursor-jumps",
    within: 60_000,
    about: "an acknowledgement takes in the message behind it",
    patch: () => (query) =>
      query.startsWith("INSERT INTO inboxes") && query.includes("excluded.cursor")
        ? { run: (next, [chat = "", cursor = 0, ahead = ""]) => next(chat, Number(cursor) + 1, ahead) }
        : undefined,
  },
  {
    name: "acks-forgotten",
    within: 60_000,
    about: "what was acknowledged out of order comes again",
    patch: () => (query) =>
      query.startsWith("INSERT INTO inboxes") && query.includes("excluded.cursor")
        ? { run: (next, [chat = "", cursor = 0]) => next(chat, cursor, "[]") }
        : undefined,
  },
  {
    name: "subscription-begins-late",
    focus: { acts: { send: 4, subscribe: 4, "read messages": 3 } },
    about: "a subscription misses the first messages after it",
    patch: column(/^INSERT INTO subscriptions/, "since", (since) => since + 3),
  },
  {
    name: "message-ends-early",
    within: 60_000,
    about: "a message is over at half of its time",
    patch: column(/^INSERT INTO messages/, "expiresAt", (until, { at = 0 }) => Math.round((until + Number(at)) / 2)),
  },
];

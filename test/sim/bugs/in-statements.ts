import type { Bug } from "../bug.ts";
import { lapses, offs } from "./focus.ts";
import { column, emptied, misread, patched, reworded, swallowed } from "./patches.ts";

/** Between the engine and its database. */
export const inStatements: readonly Bug[] = [
  { name: "keeps-deleted", about: "a deleted key stays", patch: swallowed(/^DELETE FROM state WHERE key /, 1) },
  {
    name: "token-not-raised",
    about: "each grant has the same token",
    patch: column(/^INSERT INTO leases/, "token", () => 1),
  },
  {
    name: "due-compared-wrongly",
    about: "what is due at this very instant is not due",
    patch: reworded("FROM chats WHERE dueAt <= ?", "FROM chats WHERE dueAt < ?"),
  },
  {
    name: "lease-ends-early",
    about: "a lease is over 1.5 s before its time",
    patch: misread(/^SELECT \* FROM leases WHERE/, "expiresAt", -1_500),
  },
  {
    name: "lease-freed-by-the-grace",
    within: 60_000,
    focus: offs,
    about: "a chat that goes offline loses its bound leases at once",
    patch: patched(/^UPDATE leases SET isBound = 0/, () => ({ run: (next, [, resource]) => next(0, resource ?? "") })),
  },
  {
    name: "waiter-not-rechecked",
    about: "a lease is freed, and the line is not looked at",
    patch: emptied(/^SELECT .* FROM waiters WHERE resource (= \? ORDER|> )/),
  },
  {
    name: "line-ignored",
    about: "whoever asks at the right moment passes those in line",
    patch: emptied(/^SELECT (?!\(SELECT).* FROM waiters WHERE resource (=|IN|>=) /),
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

import type { Bug } from "../bug.ts";
import { returns } from "./focus.ts";
import { patched } from "./patches.ts";

/** In what is done by hand, and remembered by a host, when an older state comes back. */
export const inRestores: readonly Bug[] = [
  {
    name: "epoch-not-raised",
    within: 10_000,
    about: "after a restore the epoch stays as it was",
    focus: returns,
    operator: { forgetsToRaise: true },
  },
  {
    name: "no-quiet",
    within: 100_000,
    about: "after a restore leases are granted at once",
    focus: returns,
    operator: { skipsQuiet: true },
  },
  {
    name: "quiet-unread",
    within: 100_000,
    about: "the host does not read until when nothing is granted",
    focus: returns,
    host: { ignoresQuiet: true },
  },
  {
    name: "numbers-come-again",
    within: 30_000,
    about: "messages and incarnations are counted on from what is stored, whatever the epoch",
    focus: { ...returns, acts: { ...returns.acts, send: 3 } },
    host: {
      patchFor: patched(/ AS first_epoch$/, () => ({
        all: (next, values) => next(...values).map((row) => Object.assign(row as object, { first_epoch: "1e9" })),
      })),
    },
  },
];

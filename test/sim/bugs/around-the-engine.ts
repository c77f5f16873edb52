import type { Bug } from "../bug.ts";
import { lapses, returns } from "./focus.ts";
import { patched } from "./patches.ts";

/** In what stands around the engine. */
export const inTheHost: readonly Bug[] = [
  {
    name: "alarm-lost",
    about: "no alarm rings, nor does the watchdog",
    host: { losesAlarms: true, hasWatchdog: false },
  },
  { name: "conditions-lost", within: 60_000, about: "writes ignore the version", host: { losesConditions: true } },
  { name: "guards-lost", within: 60_000, about: "a write does not look at the token", host: { losesGuards: true } },
  { name: "commit-forgotten", about: "one commit in fifty is answered and undone", host: { forgetsEvery: 50 } },
  {
    name: "epoch-remembered",
    focus: { faults: { admin: 40 }, faultMs: 1_000 },
    about: "a raised epoch is not read again",
    host: { remembersEpoch: true },
  },
  {
    name: "ghosts-heard",
    about: "closed sockets are heard",
    focus: { ...lapses, bound: 0.9 },
    host: { hearsGhosts: true },
  },
  { name: "pings-unheard", about: "pings do not count as signs of life", host: { isDeaf: true } },
];

/** Rules of trust that are not kept. */
export const inTheClients: readonly Bug[] = [
  {
    name: "slow-clocks",
    focus: lapses,
    about: "the clocks of a process are slower than the margin of trust covers",
    client: { clocks: "slow" },
  },
  {
    name: "monotonic-only",
    focus: { ...lapses, faults: { suspend: 20 }, faultMs: 1_000 },
    about: "a suspended machine trusts what it had",
    client: { clocks: "monotonic" },
  },
  {
    name: "wall-only",
    focus: { ...lapses, faults: { "clock set": 20 }, faultMs: 1_000 },
    about: "a clock that is set back prolongs trust",
    client: { clocks: "wall" },
  },
  {
    name: "ignores-jumps",
    within: 60_000,
    focus: { ...lapses, faults: { "suspend with a step": 80 }, faultMs: 1_000 },
    about: "after a jump of the clocks nothing is asked again",
    client: { clocks: "forward" },
  },
  {
    name: "attests-the-living",
    focus: { faults: { "short pause": 10 }, faultMs: 1_000 },
    about: "a process that does not answer is reported as dead",
    client: { attestsTheLiving: true },
  },
];

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
    within: 45_000,
    about: "messages and incarnations are counted on from what is stored, whatever the epoch",
    focus: { ...returns, acts: { ...returns.acts, send: 3 } },
    patch: patched(/ AS first_epoch$/, () => ({
      all: (next, values) => next(...values).map((row) => Object.assign(row as object, { first_epoch: "1e9" })),
    })),
  },
];

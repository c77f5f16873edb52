import type { Bug } from "../bug.ts";
import { lapses } from "./focus.ts";

/** In what stands around the engine. */
export const inTheHost: readonly Bug[] = [
  {
    name: "alarm-not-rearmed",
    within: 100_000,
    focus: lapses,
    about: "the alarm rings once, and the watchdog is off",
    host: { rearms: false, hasWatchdog: false },
  },
  {
    name: "alarm-lost",
    within: 30_000,
    about: "every alarm is lost, and the watchdog is off",
    host: { losesAlarms: true, hasWatchdog: false },
  },
  {
    name: "conditions-lost",
    within: 60_000,
    about: "a write does not look at the version",
    host: { losesConditions: true },
  },
  { name: "guards-lost", within: 60_000, about: "a write does not look at the token", host: { losesGuards: true } },
  {
    name: "commit-forgotten",
    within: 30_000,
    about: "one commit in fifty is answered and undone",
    host: { forgetsEvery: 50 },
  },
  {
    name: "epoch-remembered",
    within: 30_000,
    focus: { faults: { admin: 40 }, faultMs: 1_000 },
    about: "a raised epoch is not read again",
    host: { remembersEpoch: true },
  },
  {
    name: "ghosts-heard",
    within: 30_000,
    about: "closed connections count as heard",
    focus: { ...lapses, bound: 0.9 },
    host: { hearsGhosts: true },
  },
  { name: "pings-unheard", within: 30_000, about: "pings do not count as signs of life", host: { isDeaf: true } },
  { name: "clock-skewed", within: 30_000, about: "every second request is judged 3 s ahead", host: { skewMs: 3_000 } },
];

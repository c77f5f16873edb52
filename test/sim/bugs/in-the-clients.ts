import type { Bug } from "../bug.ts";
import { lapses, offs, stillness } from "./focus.ts";

/** Rules of trust that are not kept. */
export const inTheClients: readonly Bug[] = [
  {
    name: "no-margin",
    within: 30_000,
    focus: lapses,
    about: "a lease is trusted up to its last instant",
    client: { hasMargin: false },
  },
  {
    name: "monotonic-only",
    within: 30_000,
    focus: { ...lapses, faults: { suspend: 20 }, faultMs: 1_000 },
    about: "a suspended machine trusts what it had",
    client: { clocks: "monotonic" },
  },
  {
    name: "wall-only",
    within: 30_000,
    focus: { ...lapses, faults: { "clock set": 20 }, faultMs: 1_000 },
    about: "a clock that is set back prolongs trust",
    client: { clocks: "wall" },
  },
  {
    name: "trusts-from-reply",
    within: 30_000,
    focus: { ...lapses, weather: { slow: 0.3 } },
    about: "time is counted from the reply on",
    client: { trustsFrom: "reply" },
  },
  {
    name: "ignores-remaining",
    within: 100_000,
    focus: { ...lapses, weather: { loss: 0.35 } },
    about: "a grant that is found again counts as new",
    client: { ignoresRemaining: true },
  },
  {
    name: "trusts-while-waiting",
    within: 60_000,
    focus: lapses,
    about: "a grant that was waited for is trusted at once",
    client: { trustsWhileWaiting: true },
  },
  {
    name: "pings-revive",
    within: 100_000,
    about: "a ping brings back what had run out",
    focus: stillness,
    client: { pingsRevive: true },
  },
  {
    name: "pings-outlive-lives",
    within: 200_000,
    about: "pings count for what an earlier registration was granted",
    focus: { ...offs, faults: { "network away": 60, crash: 0.3 }, faultMs: 1_500 },
    client: { pingsOutliveLives: true },
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
    within: 30_000,
    focus: { faults: { "short pause": 10 }, faultMs: 1_000 },
    about: "a process that does not answer is reported as dead",
    client: { attestsTheLiving: true },
  },
  { name: "keeps-released", within: 30_000, about: "what was given back is used on", client: { keepsReleased: true } },
];

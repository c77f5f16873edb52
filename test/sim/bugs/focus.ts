import type { Focus } from "../bug.ts";

/** Where rare things are looked for. */

/** What has nothing to do with leases is rare. */
const rare = ["increment", "transfer", "watch", "send", "read messages", "several at once", "read"];
const fewOthers = Object.fromEntries(rare.map((name) => [name, 0.1]));
/** Leases are taken, and run out. */
export const lapses: Focus = { acts: { ...fewOthers, acquire: 6, campaign: 4, "give back": 0.5 }, forgets: 0.8 };
/** Processes stand still, and lose their sockets. */
export const offs: Focus = {
  acts: { ...fewOthers, acquire: 6, "give back": 0.3 },
  faults: { "network away": 20, "long pause": 6 },
  bound: 0.9,
  faultMs: 800,
};

/** Tasks are submitted, taken and neglected. */
export const works: Focus = {
  acts: {
    ...fewOthers,
    acquire: 0.1,
    campaign: 0.1,
    "guarded write": 0.1,
    "set for a while": 0.1,
    submit: 2,
    "submit a graph": 3,
    "ask for tasks": 2,
    "call on an old claim": 2,
    cancel: 1,
    replay: 2,
    discard: 1,
    "look at a task": 1,
  },
  neglects: 0.05,
};

/** Who works is told of tasks, and seldom asks. */
export const pushes: Focus = { ...works, acts: { ...works.acts, "ask for tasks": 0, drain: 0, leave: 0.2 } };

/** Older states come back, and leases are held then. */
export const returns: Focus = {
  acts: { ...fewOthers, acquire: 8, "give back": 0.5, "set for a while": 0.2 },
  faults: { restore: 6, backup: 6 },
  faultMs: 4_000,
  restores: 1,
};

/** Another program of each chat sends frames, of leases and of tasks, too. */
export const inFrames: Focus = {
  ...works,
  acts: {
    ...works.acts,
    "acquire in a frame": 4,
    "renew or release in a frame": 2,
    "finish in a frame": 4,
  },
};

/** How bad things are; shares of the cases in which something goes wrong. */
export const stormy = {
  /** Of messages on the way to the host and back. */
  loss: 0.03,
  /** Over HTTP: over a socket there are no copies. */
  duplicate: 0.1,
  /** Up to 2 s; up to 40 s. */
  slow: 0.05,
  verySlow: 0.01,
  /** The host dies before the commit; after it, before anything is sent. */
  crash: 0.004,
  eviction: 0.006,
  alarmLost: 0.03,
  alarmLate: 0.1,
  /** Of the late ones: by up to a minute. */
  alarmVeryLate: 0.2,
  alarmTwice: 0.05,
  /** Of the tokens of the queue. */
  queueLoss: 0.1,
  queueTwice: 0.15,
  /** Up to 20 s, a few of them up to minutes. */
  queueSlow: 0.2,
  /** Rows that one sweep takes on. */
  sweepLimit: 20,
  /** Of the requests that have waited so long that some are refused for the load. */
  overload: 0,
};
export type Weather = typeof stormy;

const names = Object.keys(stormy) as (keyof Weather)[];
export const calm = { ...(Object.fromEntries(names.map((name) => [name, 0])) as Weather), sweepLimit: 100 };

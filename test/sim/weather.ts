/** Shares of the cases in which something goes wrong. */
export const stormy = {
  /** Messages to the host and back that are lost. */
  loss: 0.03,
  /** HTTP requests that arrive a second time. */
  duplicate: 0.1,
  /** Delays of up to 2 s, and of up to 40 s. */
  slow: 0.05,
  verySlow: 0.01,
  /** Deaths of the host before the commit, and after it before anything is sent. */
  crash: 0.004,
  eviction: 0.006,
  alarmLost: 0.03,
  alarmLate: 0.1,
  /** Late alarms that ring up to a minute late. */
  alarmVeryLate: 0.2,
  alarmTwice: 0.05,
  /** Tokens of the dispatch queue. */
  queueLoss: 0.1,
  queueTwice: 0.15,
  queueSlow: 0.2,
  /** Rows that one sweep handles. */
  sweepLimit: 20,
  /** Requests that the host sheds or would shed. */
  overload: 0,
};
export type Weather = typeof stormy;

const names = Object.keys(stormy) as (keyof Weather)[];
export const calm = { ...(Object.fromEntries(names.map((name) => [name, 0])) as Weather), sweepLimit: 100 };

/** How bad things are; shares of the cases in which something goes wrong. */
export interface Weather {
  /** Of messages on the way to the host and back. */
  loss: number;
  duplicate: number;
  /** Up to 2 s; up to 40 s. */
  slow: number;
  verySlow: number;
  /** The host dies before the commit; after it, before anything is sent. */
  crash: number;
  eviction: number;
  alarmLost: number;
  alarmLate: number;
  /** Of the late ones: by up to a minute. */
  alarmVeryLate: number;
  alarmTwice: number;
  /** Of the tokens of the queue. */
  queueLoss: number;
  queueTwice: number;
  /** Up to 20 s, a few of them up to minutes. */
  queueSlow: number;
  /** Rows that one sweep takes on. */
  sweepLimit: number;
}

export const calm: Weather = {
  loss: 0,
  duplicate: 0,
  slow: 0,
  verySlow: 0,
  crash: 0,
  eviction: 0,
  alarmLost: 0,
  alarmLate: 0,
  alarmVeryLate: 0,
  alarmTwice: 0,
  queueLoss: 0,
  queueTwice: 0,
  queueSlow: 0,
  sweepLimit: 100,
};

export const stormy: Weather = {
  loss: 0.03,
  // Over a socket there are no copies.
  duplicate: 0.1,
  slow: 0.05,
  verySlow: 0.01,
  crash: 0.004,
  eviction: 0.006,
  alarmLost: 0.03,
  alarmLate: 0.1,
  alarmVeryLate: 0.2,
  alarmTwice: 0.05,
  queueLoss: 0.1,
  queueTwice: 0.15,
  queueSlow: 0.2,
  sweepLimit: 20,
};

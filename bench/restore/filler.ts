import type { Random } from "./random.ts";

const sentences = [
  "The nightly job ran for 43 minutes and wrote 12,431 rows.",
  "Here is what the monitoring showed during that time.",
  "At 04:12 the first instance was replaced, the second one followed two minutes later.",
  "The graph is flat until noon, then it grows by a third.",
  "We saw the same thing in spring, on a smaller scale.",
  "2026-11-03T04:12:09Z INFO scheduler: 14 jobs waiting, 3 running",
  "2026-11-03T04:12:11Z INFO worker-2: picked up batch 8812",
  "2026-11-03T04:12:15Z DEBUG pool: 9 connections open",
  "The colleagues in the other office read the numbers differently.",
  "There was a release on that day, with two small changes in the header of the page.",
  "One of the customers wrote that the list was empty for a moment.",
  "The dashboards show the median; the tail is in the second tab.",
  "For comparison, the old system needed about an hour for the same input.",
  "| instance | started | rows |",
  "| 1 | 04:12 | 8,120 |",
  "| 2 | 04:14 | 4,311 |",
  "The disk was a third full, and the memory about half.",
  "Some of the records carry two dates, the second one is that of the import.",
  "I attach the part of the log that seemed interesting to me.",
  "The rest of the message is background.",
];

/** Text without a request, a rule or a name in it. */
export function filler(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.pick(sentences)).join(random.isLucky(0.5) ? "\n" : " ");
}

/** A log of more characters than a prompt keeps, pasted above what is asked. */
export function pastedLog(random: Random): string {
  const line = (n: number): string =>
    `2026-11-03T04:${String(n % 60).padStart(2, "0")}:09Z INFO worker-${random.between(1, 9)}: picked up batch ${n}`;
  return `Here is the log of last night:\n${Array.from({ length: 250 }, (_, n) => line(n)).join("\n")}\n`;
}

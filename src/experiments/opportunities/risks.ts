import type { ReplaySession } from "../../contract/replay.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { examineShare, sharePrevented, stepOf, type Examined } from "./finding.ts";
import { sessionsWith, type History } from "./history.ts";

export function examineRisks(history: History): Examined[] {
  return [
    unseen(history, {
      pattern: "context_full_unseen",
      cause: "context_full",
      key: "risk.thresholds.contextFill",
      title: "Contexts are full before the risk counts it",
      died: "died of a full context",
      reading: ({ samples }) => lastReading(samples, "contextFill", -Infinity),
    }),
    unseen(history, {
      pattern: "out_of_memory_unseen",
      cause: "out_of_memory",
      key: "risk.thresholds.memory",
      title: "Memory runs out before the risk counts it",
      died: "died for want of memory",
      reading: ({ samples, end }) => lastReading(samples, "hostMemory", end.at - memoryReadingMs),
    }),
  ];
}

const memoryReadingMs = 300_000;

interface Unseen {
  readonly pattern: "context_full_unseen" | "out_of_memory_unseen";
  readonly cause: string;
  readonly key: string;
  readonly title: string;
  readonly died: string;
  readonly reading: (session: ReplaySession) => number | null;
}

/** Deaths of a cause whose last reading was not above the threshold. */
function unseen(history: History, { pattern, cause, key, title, died, reading }: Unseen): Examined {
  const step = stepOf(settingAt(history.config, key), key, "down");
  const { from, to } = step;
  const values = sessionsWith(history, [key])
    .filter(({ session: { end } }) => end.kind === "died" && end.cause === cause)
    .flatMap(({ session }) => reading(session) ?? []);
  const missed = values.filter((value) => value <= from);
  return examineShare({
    pattern,
    subject: key,
    minimum: 8,
    usual: 0.1,
    n: values.length,
    hits: missed.length,
    toFinding: (counted) => ({
      title,
      text: `${counted} chats that ${died} were last read at or below ${key}.`,
      advice: "A lower threshold makes a checkpoint earlier.",
      figures: { highest: Math.max(...missed) },
      step,
      ...(to === null ? {} : { expected: sharePrevented(missed.filter((value) => value > to).length, missed.length) }),
    }),
  });
}

function lastReading(
  samples: ReplaySession["samples"],
  name: "contextFill" | "hostMemory",
  since: number,
): number | null {
  const reading = samples.findLast(({ readings }) => readings[name] !== undefined)?.readings[name];
  return reading && reading.at >= since ? reading.value : null;
}

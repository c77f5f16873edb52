import type { ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { outcomeOf } from "../replay/loss.ts";
import { meanInterval, shareInterval } from "./exact-tests.ts";
import { byPerson, examineShare, stepOf, steppedTo, type Examined, type Expected, type Found } from "./finding.ts";
import type { History, PastSession } from "./history.ts";
import { sessionsWith } from "./in-force.ts";

const intervalKeys = ["checkpoint.everyMs", "checkpoint.everyToolCalls"] as const;
/** Sessions that are replayed for the expected effect: the newest. */
const maxReplayed = 200;
/** Older than that the checkpoint was due and did not come. */
const overdueFactor = 1.5;
const memoryReadingMs = 300_000;

export function examineDeaths(history: History): Examined[] {
  return [
    oldCheckpoints(history),
    unseen(history, {
      pattern: "context_full_unseen",
      cause: "context_full",
      key: "risk.thresholds.contextFill",
      reading: ({ samples }) => lastReading(samples, "contextFill", -Infinity),
    }),
    unseen(history, {
      pattern: "out_of_memory_unseen",
      cause: "out_of_memory",
      key: "risk.thresholds.memory",
      reading: ({ samples, end }) => lastReading(samples, "hostMemory", end.at - memoryReadingMs),
    }),
  ];
}

/** Deaths with something unsaved and a checkpoint older than half of the interval. */
function oldCheckpoints(history: History): Examined {
  const { everyMs } = history.config.checkpoint;
  const dead = sessionsWith(history, intervalKeys).filter(({ session }) => session.end.kind === "died");
  const old = dead.map(({ session }) => unsavedAgeMs(session)).filter((age) => age > everyMs / 2);
  const overdue = old.filter((age) => age > overdueFactor * everyMs).length;
  const figures = { oldestMs: Math.max(0, ...old), overdue };
  return examineShare({
    pattern: "old_checkpoint_at_death",
    subject: "checkpoint.everyMs",
    minimum: 10,
    usual: 0.25,
    n: dead.length,
    hits: old.length,
    // Where checkpoints did not come when they were due, a shorter interval changes nothing.
    toFinding: () => (overdue > old.length / 2 ? byPerson(null, figures) : shorterInterval(history, dead, figures)),
  });
}

/** Time since the last checkpoint at the death; 0: nothing was unsaved. */
function unsavedAgeMs({ events, saves, end }: ReplaySession): number {
  const savedAt = saves.findLast(({ at }) => at <= end.at)?.at ?? 0;
  return events.some(({ at }) => at > savedAt) ? end.at - savedAt : 0;
}

/** The setting of the two whose step saves more tool calls at a death, by replay. */
function shorterInterval(history: History, dead: readonly PastSession[], figures: Found["figures"]): Found {
  const steps = intervalKeys.flatMap((key) => {
    const step = stepOf(history.config, key, "down");
    const to = steppedTo(step);
    return to === null ? [] : [{ step, expected: callsLost(history, dead, key, to) }];
  });
  const best = steps.toSorted((a, b) => a.expected.value - b.expected.value)[0];
  if (!best || best.expected.high >= 0) return byPerson(null, figures);
  return { ...best.step, expected: best.expected, figures: { ...figures, ...best.step.figures } };
}

/** Difference of unsaved tool calls, each active moment of a session taken as that of its death. */
function callsLost({ config }: History, dead: readonly PastSession[], key: string, to: number): Expected {
  const changed = withSetting(config, key, to);
  const differences = dead.slice(-maxReplayed).map(({ session }) => {
    const [before, after] = [outcomeOf(session, config), outcomeOf(session, changed)];
    return after.unsaved.toolCalls - before.unsaved.toolCalls;
  });
  const { mean, low, high } = meanInterval(differences);
  return { figure: "toolCallsLost", value: mean, low, high };
}

interface Unseen {
  readonly pattern: "context_full_unseen" | "out_of_memory_unseen";
  readonly cause: string;
  readonly key: string;
  readonly reading: (session: ReplaySession) => number | null;
}

/** Deaths of a cause whose last reading was not above the threshold. */
function unseen(history: History, { pattern, cause, key, reading }: Unseen): Examined {
  const step = stepOf(history.config, key, "down");
  const { from } = step;
  const values = sessionsWith(history, [key])
    .filter(({ session: { end } }) => end.kind === "died" && end.cause === cause)
    .flatMap(({ session }) => reading(session) ?? []);
  const missed = values.filter((value) => value <= (from ?? 0));
  return examineShare({
    pattern,
    subject: key,
    minimum: 8,
    usual: 0.1,
    n: values.length,
    hits: missed.length,
    toFinding: () => {
      const to = steppedTo(step);
      const figures = { ...step.figures, highest: Math.max(...missed) };
      if (to === null) return { ...step, expected: null, figures };
      const prevented = missed.filter((value) => value > to).length;
      const { low, high } = shareInterval(prevented, missed.length);
      const value = prevented / missed.length;
      return { ...step, expected: { figure: "sharePrevented", value, low, high }, figures };
    },
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

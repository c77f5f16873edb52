import type { ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { outcomeOf } from "../replay/loss.ts";
import { checkpointAges, overdueFactor } from "./checkpoint-ages.ts";
import { meanInterval, shareInterval, unequalTails } from "./exact-tests.ts";
import { byPerson, examineShare, stepOf, steppedTo, type Examined, type Expected, type Found } from "./finding.ts";
import type { History, PastSession } from "./history.ts";
import { sessionsWith } from "./in-force.ts";

const intervalKeys = ["checkpoint.everyMs", "checkpoint.everyToolCalls"] as const;
/** Sessions that are replayed for the expected effect: the newest. */
const maxReplayed = 200;
/** Deaths that find an old checkpoint by a delay of any other cause. */
const lateShare = 0.1;
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

/**
 * [EX281] Deaths with something unsaved for longer than half of the interval. If a death comes at a
 * random active moment, it does so with the share of such moments in its own session: the number of
 * deaths is a sum of coins with known probabilities. A death in a pause is no such moment.
 */
function oldCheckpoints(history: History): Examined {
  const { everyMs } = history.config.checkpoint;
  const died = sessionsWith(history, intervalKeys).flatMap((past) => {
    const { end, isComplete } = past.session;
    const ages = end.kind === "died" && isComplete ? checkpointAges(past.session, everyMs, everyMs / 2) : null;
    return ages?.isActiveAtEnd === true ? [{ past, ages }] : [];
  });
  const dead = died.map(({ past }) => past);
  const old = died.map(({ ages }) => ages.atEndMs).filter((age) => age > everyMs / 2);
  // The share of its own time is too low for a session that dies in its first intervals.
  const shares = died.map(({ ages }) => Math.max(lateShare, ages.oldShare, ages.lastOldShare));
  const overdue = old.filter((age) => age > overdueFactor * everyMs).length;
  const usual = shares.reduce((sum, share) => sum + share, 0);
  const figures = { hits: old.length, usual, oldestMs: Math.max(0, ...old), overdue };
  return {
    pattern: "old_checkpoint_at_death",
    subject: "checkpoint.everyMs",
    n: died.length,
    minimum: 10,
    pValue: unequalTails(shares, old.length).atLeast,
    // Where checkpoints did not come when they were due, a shorter interval changes nothing.
    toFinding: () => (overdue > old.length / 2 ? byPerson(null, figures) : shorterInterval(history, dead, figures)),
  };
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

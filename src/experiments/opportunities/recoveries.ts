import { shareInterval } from "./exact-tests.ts";
import { byPerson, examineShare, stepOf, steppedTo, type Examined, type Found } from "./finding.ts";
import type { History, PastOffer, PastSession } from "./history.ts";
import { sessionsWith } from "./in-force.ts";

const dayMs = 86_400_000;
/** Facts read again that are no chance. */
const manyRepeats = 3;

export function examineRecoveries(history: History): Examined[] {
  return [dismissedOffers(history), ignoredOffers(history), cutBriefs(history), rediscovery(history)];
}

/** An offer of today may still be taken. */
function decided({ offers, now }: History): PastOffer[] {
  return offers.filter(({ at, resolution }) => resolution !== "open" || now - at >= dayMs);
}

function dismissedOffers(history: History): Examined {
  const offers = decided(history);
  const dismissed = offers.filter(({ resolution }) => resolution === "dismissed");
  return examineShare({
    pattern: "offers_dismissed",
    subject: "offerMaxAgeMs",
    minimum: 10,
    usual: 0.3,
    n: offers.length,
    hits: dismissed.length,
    toFinding: () => fewerOffers(history, dismissed),
  });
}

/** A shorter time helps only where what was dismissed is old. */
function fewerOffers({ config }: History, dismissed: readonly PastOffer[]): Found {
  const step = stepOf(config, "offerMaxAgeMs", "down");
  const to = steppedTo(step);
  const prevented = to === null ? 0 : dismissed.filter(({ ageMs }) => ageMs > to).length;
  if (prevented === 0) return byPerson(null, {});
  const { low, high } = shareInterval(prevented, dismissed.length);
  return { ...step, expected: { figure: "sharePrevented", value: prevented / dismissed.length, low, high } };
}

function ignoredOffers(history: History): Examined {
  const offers = decided(history);
  return examineShare({
    pattern: "offers_ignored",
    subject: "recovery",
    minimum: 10,
    usual: 0.5,
    n: offers.length,
    hits: offers.filter(({ resolution }) => resolution === "open").length,
    toFinding: () => byPerson(null, {}),
  });
}

/** Sessions whose newest counted checkpoint has more prompts than a brief quotes. */
function cutBriefs(history: History): Examined {
  const key = "brief.prompts";
  const entries = sessionsWith(history, [key]).flatMap((past) => countPrompts(past) ?? []);
  const cut = entries.filter((count) => count > history.config.brief.prompts);
  return examineShare({
    pattern: "brief_cut",
    subject: key,
    minimum: 20,
    usual: 0.2,
    n: entries.length,
    hits: cut.length,
    toFinding: () => {
      const step = stepOf(history.config, key, "up");
      const to = steppedTo(step);
      if (to === null) return { ...step, expected: null };
      const whole = cut.filter((count) => count <= to).length;
      const { low, high } = shareInterval(whole, cut.length);
      return { ...step, expected: { figure: "sharePrevented", value: whole / cut.length, low, high } };
    },
  });
}

/** Without the first, which is always quoted. */
function countPrompts({ session: { saves } }: PastSession): number | null {
  const prompts = saves.findLast(({ counts }) => counts !== null)?.counts?.prompts;
  return prompts === undefined ? null : Math.max(0, prompts - 1);
}

/** The brief had the facts: a longer one is no answer, so a person decides what to try. */
function rediscovery(history: History): Examined {
  const repeats = history.sessions.flatMap(({ session: { recovery } }) =>
    recovery === null || recovery.reads === null ? [] : [recovery.reads + (recovery.repeats ?? 0)],
  );
  return examineShare({
    pattern: "rediscovery",
    subject: "brief",
    minimum: 10,
    usual: 0.25,
    n: repeats.length,
    hits: repeats.filter((count) => count >= manyRepeats).length,
    toFinding: () => byPerson(null, { mean: repeats.reduce((sum, one) => sum + one, 0) / repeats.length }),
  });
}

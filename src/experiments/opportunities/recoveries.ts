import { mean } from "simple-statistics";
import { settingAt } from "../../shared/setting-keys.ts";
import { examineShare, round, sharePrevented, stepOf, type Examined, type Found } from "./finding.ts";
import { sessionsWith, type History, type PastOffer, type PastSession } from "./history.ts";

const dayMs = 86_400_000;
/** Facts read again that are no chance. */
const manyRepeats = 3;

export function examineRecoveries(history: History): Examined[] {
  // An offer of today may still be taken.
  const offers = history.offers.filter(({ at, resolution }) => resolution !== "open" || history.now - at >= dayMs);
  return [dismissedOffers(history, offers), ignoredOffers(offers), cutBriefs(history), rediscovery(history)];
}

function dismissedOffers({ config }: History, offers: readonly PastOffer[]): Examined {
  const dismissed = offers.filter(({ resolution }) => resolution === "dismissed");
  return examineShare({
    pattern: "offers_dismissed",
    subject: "offerMaxAgeMs",
    minimum: 10,
    usual: 0.3,
    n: offers.length,
    hits: dismissed.length,
    toFinding: (counted): Found => {
      const step = stepOf(settingAt(config, "offerMaxAgeMs"), "offerMaxAgeMs", "down");
      const { to } = step;
      const prevented = to === null ? 0 : dismissed.filter(({ ageMs }) => ageMs > to).length;
      const common = {
        title: "Offers of dead sessions are dismissed",
        text: `${counted} dead sessions that were offered were dismissed.`,
      };
      // A shorter time helps only where what was dismissed is old.
      if (prevented === 0)
        return {
          ...common,
          advice:
            "They were recent ones, so a shorter offerMaxAgeMs changes nothing; `shim config set recovery ask` asks before a brief is given.",
        };
      const advice = "With a shorter offerMaxAgeMs old ones are listed, and no longer offered.";
      return { ...common, advice, step, expected: sharePrevented(prevented, dismissed.length) };
    },
  });
}

function ignoredOffers(offers: readonly PastOffer[]): Examined {
  return examineShare({
    pattern: "offers_ignored",
    subject: "recovery",
    minimum: 10,
    usual: 0.5,
    n: offers.length,
    hits: offers.filter(({ resolution }) => resolution === "open").length,
    toFinding: (counted) => ({
      title: "Offers of dead sessions are not answered",
      text: `${counted} dead sessions were offered, and a day later neither continued nor dismissed.`,
      advice: "`shim config get recovery` shows how they are offered; `shim sessions` lists them.",
    }),
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
    toFinding: (counted) => {
      const step = stepOf(settingAt(history.config, key), key, "up");
      const { to } = step;
      return {
        title: "A brief does not quote all prompts",
        text: `${counted} sessions have more prompts than ${key} lets a brief quote.`,
        advice: "Whether a longer brief helps the next chat only chats can show.",
        step,
        ...(to === null ? {} : { expected: sharePrevented(cut.filter((count) => count <= to).length, cut.length) }),
      };
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
    toFinding: (counted) => ({
      title: "Chats read again what their brief says",
      text: `${counted} chats repeated three or more facts of their brief before their first edit, ${round(mean(repeats))} on average.`,
      advice: "A longer brief does not help, since it had the facts; try a shorter one (brief.prompts).",
      figures: { mean: mean(repeats) },
    }),
  });
}

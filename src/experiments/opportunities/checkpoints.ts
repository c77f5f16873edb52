import type { ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { replay, type ReplayedSave, type SavePolicy } from "../replay/replay.ts";
import { checkpointAges, overdueFactor } from "./checkpoint-ages.ts";
import { meanInterval } from "./exact-tests.ts";
import { byPerson, examineShare, stepOf, steppedTo, type Examined, type Found } from "./finding.ts";
import type { History, PastSession } from "./history.ts";
import { sessionsWith } from "./in-force.ts";

const keys = { time: "checkpoint.everyMs", tools: "checkpoint.everyToolCalls" } as const;
/** A session with fewer checkpoints of a timer says nothing. */
const minSaves = 10;
const maxReplayed = 200;
const fullShare = 0.8;

export function examineCheckpoints(history: History): Examined[] {
  const past = sessionsWith(history, Object.values(keys)).slice(-maxReplayed);
  const saves = past.map(({ session }) => replay(session, history.config).saves);
  return [
    overdueCheckpoints(history, past),
    unchangedSaves(history, past, saves, "time"),
    unchangedSaves(history, past, saves, "tools"),
    largeStore(history),
  ];
}

/** A session that was active for fewer intervals says nothing. */
const minIntervals = 3;

/**
 * [EX283] Sessions in which most of the time a checkpoint was overdue. Apart from deaths: whether
 * chats die or not, something keeps checkpoints from being made, and no interval changes that.
 */
function overdueCheckpoints({ config }: History, past: readonly PastSession[]): Examined {
  const { everyMs } = config.checkpoint;
  const shares = past.flatMap(({ session }) => {
    // A full set has lost its older ones.
    if (!session.isComplete || session.saves.length >= config.retention.checkpointsPerSession) return [];
    const { activeMs, oldShare } = checkpointAges(session, everyMs, overdueFactor * everyMs);
    return activeMs < minIntervals * everyMs ? [] : [oldShare];
  });
  return examineShare({
    pattern: "overdue_checkpoints",
    subject: keys.time,
    minimum: 10,
    usual: 0.1,
    n: shares.length,
    hits: shares.filter((share) => share > 0.5).length,
    toFinding: () => byPerson(null, {}),
  });
}

type Timer = keyof typeof keys;

/** Sessions in which most checkpoints of a timer held nothing new. */
function unchangedSaves(
  history: History,
  past: readonly PastSession[],
  saves: readonly (readonly ReplayedSave[])[],
  timer: Timer,
): Examined {
  const shares = saves.flatMap((all) => {
    const timed = all.filter(({ trigger }) => trigger === timer);
    return timed.length < minSaves ? [] : [timed.filter(({ isNew }) => !isNew).length / timed.length];
  });
  return examineShare({
    pattern: "unchanged_saves",
    subject: keys[timer],
    minimum: 10,
    usual: 0.3,
    n: shares.length,
    hits: shares.filter((share) => share > 0.5).length,
    toFinding: () => rarer(history, past, timer),
  });
}

function rarer(history: History, past: readonly PastSession[], timer: Timer): Found {
  const step = stepOf(history.config, keys[timer], "up");
  const to = steppedTo(step);
  if (to === null) return { ...step, expected: null };
  const changed = withSetting(history.config, keys[timer], to);
  const differences = past.map(({ session }) => countSaves(session, changed) - countSaves(session, history.config));
  const { mean, low, high } = meanInterval(differences);
  return { ...step, expected: { figure: "savesPerSession", value: mean, low, high } };
}

function countSaves(session: ReplaySession, policy: SavePolicy): number {
  return replay(session, policy).saves.length;
}

/** A measured fact, so without a test. */
function largeStore({ machine, config, sessions }: History): Examined {
  const bytes = machine.find(({ name }) => name === "shim_store_bytes")?.value ?? 0;
  const limit = config.retention.maxBytes;
  return {
    pattern: "large_store",
    subject: "retention.maxBytes",
    n: sessions.length,
    minimum: 20,
    pValue: bytes >= fullShare * limit ? 0 : 1,
    toFinding: () => byPerson("up", { bytes, limit }),
  };
}

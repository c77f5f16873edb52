import { mean, sum } from "simple-statistics";
import type { OpportunityPattern } from "../../contract/opportunities.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { age } from "../../shared/format.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { atLeast, notWorse, shareInterval, type Counted } from "../exact-tests.ts";
import { examineShare, percent, round, stepOf, type Examined } from "./finding.ts";
import {
  sessionsWith,
  type History,
  type ModelOutcomes,
  type PastChange,
  type PastOffer,
  type PastTask,
  type TaskTypeHistory,
  type TeamHistory,
} from "./history.ts";

interface UnseenCause {
  readonly pattern: OpportunityPattern;
  readonly cause: string;
  readonly key: string;
  readonly title: string;
  readonly died: string;
  readonly reading: "contextFill" | "hostMemory";
  /** An older reading says nothing. */
  readonly maxAgeMs: number;
}

const unseenCauses: readonly UnseenCause[] = [
  {
    pattern: "context_full_unseen",
    cause: "context_full",
    key: "risk.thresholds.contextFill",
    title: "Contexts are full before the risk counts it",
    died: "died of a full context",
    reading: "contextFill",
    maxAgeMs: Infinity,
  },
  {
    pattern: "out_of_memory_unseen",
    cause: "out_of_memory",
    key: "risk.thresholds.memory",
    title: "Memory runs out before the risk counts it",
    died: "died for want of memory",
    reading: "hostMemory",
    maxAgeMs: 300_000,
  },
];

/** Deaths of a cause whose last reading was not above the threshold. */
export function examineRisks(history: History): Examined[] {
  return unseenCauses.map(({ pattern, cause, key, title, died, reading, maxAgeMs }) => {
    const step = stepOf(settingAt(history.config, key), key, "down");
    const lastReading = ({ samples, end }: ReplaySession): number[] => {
      const last = samples.findLast(({ readings }) => readings[reading] !== undefined)?.readings[reading];
      return last && last.at >= end.at - maxAgeMs ? [last.value] : [];
    };
    const dead = sessionsWith(history, [key]).filter(
      ({ session: { end } }) => end.kind === "died" && end.cause === cause,
    );
    return examineShare({
      pattern,
      subject: key,
      minimum: 8,
      usual: 0.1,
      cases: dead.flatMap(({ session }) => lastReading(session)),
      isHit: (value) => value <= step.from,
      title,
      text: (counted) => `${counted} chats that ${died} were last read at or below ${key}.`,
      advice: "A lower threshold makes a checkpoint earlier.",
      figures: (missed) => ({ highest: Math.max(...missed) }),
      step,
      prevents: (value, to) => value > to,
    });
  });
}

const dayMs = 86_400_000;
/** Facts read again that are no chance. */
const manyRepeats = 3;

export function examineRecoveries(history: History): Examined[] {
  // An offer of today may still be taken.
  const offers = history.offers.filter(({ at, resolution }) => resolution !== "open" || history.now - at >= dayMs);
  const repeats = history.sessions.flatMap(({ session: { recovery } }) =>
    recovery === null || recovery.reads === null ? [] : [recovery.reads + (recovery.repeats ?? 0)],
  );
  return [
    dismissedOffers(history, offers),
    examineShare({
      pattern: "offers_ignored",
      subject: "recovery",
      minimum: 10,
      usual: 0.5,
      cases: offers,
      isHit: ({ resolution }) => resolution === "open",
      title: "Offers of dead sessions are not answered",
      text: (counted) => `${counted} dead sessions were offered, and a day later neither continued nor dismissed.`,
      advice: "`shim config get recovery` shows how they are offered; `shim sessions` lists them.",
    }),
    cutBriefs(history),
    // The brief had the facts: a longer one is no answer, so a person decides what to try.
    examineShare({
      pattern: "rediscovery",
      subject: "brief",
      minimum: 10,
      usual: 0.25,
      cases: repeats,
      isHit: (count) => count >= manyRepeats,
      title: "Chats read again what their brief says",
      text: (counted) =>
        `${counted} chats repeated three or more facts of their brief before their first edit, ${round(mean(repeats))} on average.`,
      advice: "A longer brief does not help, since it had the facts; try a shorter one (brief.prompts).",
      figures: () => ({ mean: mean(repeats) }),
    }),
  ];
}

function dismissedOffers({ config }: History, offers: readonly PastOffer[]): Examined {
  const step = stepOf(config.offerMaxAgeMs, "offerMaxAgeMs", "down");
  const { to } = step;
  // A shorter time helps only where what was dismissed is old.
  const isOld = to !== null && offers.some(({ resolution, ageMs }) => resolution === "dismissed" && ageMs > to);
  return examineShare({
    pattern: "offers_dismissed",
    subject: "offerMaxAgeMs",
    minimum: 10,
    usual: 0.3,
    cases: offers,
    isHit: ({ resolution }) => resolution === "dismissed",
    title: "Offers of dead sessions are dismissed",
    text: (counted) => `${counted} dead sessions that were offered were dismissed.`,
    advice: isOld
      ? "With a shorter offerMaxAgeMs old ones are listed, and no longer offered."
      : "They were recent ones, so a shorter offerMaxAgeMs changes nothing; `shim config set recovery ask` asks before a brief is given.",
    step: isOld ? step : undefined,
    prevents: ({ ageMs }, limit) => ageMs > limit,
  });
}

/** Sessions whose newest counted checkpoint has more prompts than a brief quotes. */
function cutBriefs(history: History): Examined {
  const key = "brief.prompts";
  return examineShare({
    pattern: "brief_cut",
    subject: key,
    minimum: 20,
    usual: 0.2,
    cases: sessionsWith(history, [key]).flatMap(({ session: { saves } }) => {
      const prompts = saves.findLast(({ counts }) => counts !== null)?.counts?.prompts;
      // Without the first, which is always quoted.
      return prompts === undefined ? [] : [Math.max(0, prompts - 1)];
    }),
    isHit: (count) => count > history.config.brief.prompts,
    title: "A brief does not quote all prompts",
    text: (counted) => `${counted} sessions have more prompts than ${key} lets a brief quote.`,
    advice: "Whether a longer brief helps the next chat only chats can show.",
    step: stepOf(history.config.brief.prompts, key, "up"),
    prevents: (count, to) => count <= to,
  });
}

interface TaskPattern {
  readonly pattern: OpportunityPattern;
  readonly usual: number;
  readonly isHit: (task: PastTask) => boolean;
  /** Verb of `Tasks of the type X ...`. */
  readonly what: string;
  /** End of `3 of 8 ended tasks ...`. */
  readonly seen: string;
  readonly advice: string;
}

/** Tasks are counted, not attempts: the attempts of one task fail together. */
const taskPatterns: readonly TaskPattern[] = [
  {
    pattern: "task_retries",
    usual: 0.2,
    isHit: ({ failed }) => failed > 0,
    what: "fail and are tried again",
    seen: "had a failed attempt",
    advice:
      "`shim task show <task>` and the reasons of the attempts say why; a longer backoff helps only where the cause passes.",
  },
  {
    pattern: "task_timeouts",
    usual: 0.1,
    isHit: ({ timeouts }) => timeouts > 0,
    what: "exceed their time",
    seen: "had an attempt that timed out",
    advice: "Submit them with a longer startToCloseMs, or split them.",
  },
  {
    pattern: "task_stalls",
    usual: 0.1,
    isHit: ({ stalls }) => stalls > 0,
    what: "stall",
    seen: "had an attempt without a heartbeat in time",
    advice: "Submit them with a longer heartbeatMs, or report progress more often.",
  },
  {
    pattern: "task_poison",
    usual: 0.05,
    isHit: ({ isPoison }) => isPoison,
    what: "cost chats",
    seen: "died as poison: they lost too many chats or stalled too often",
    advice: "`shim task` lists dead tasks; do not replay them before the cause is known.",
  },
];

export function examineTeam(team: TeamHistory): Examined[] {
  const { taskTypes, departures, chatTtlMs, models } = team;
  return [
    ...taskTypes.flatMap((one) => taskPatterns.map((pattern) => ends(one, pattern)).concat(waits(one))),
    unevenLoad(team),
    ...(departures === null
      ? []
      : [
          examineShare({
            pattern: "chats_came_back",
            subject: "chatTtlMs",
            minimum: 10,
            usual: 0.2,
            cases: departures,
            isHit: ({ isBack }) => isBack,
            title: "Chats that were declared gone came back",
            text: (counted) =>
              `${counted} chats that went offline after silence registered again within ten minutes, as the same process.`,
            advice:
              "A longer time waits for them, and keeps the tasks of a dead chat as much longer. `shim learn replay workspace` compares values.",
            step: stepOf(chatTtlMs, "chatTtlMs", "up"),
          }),
        ]),
    ...examineModels(models ?? []),
  ];
}

function ends(
  { type, tasks, runP95Ms }: TaskTypeHistory,
  { pattern, usual, isHit, what, seen, advice }: TaskPattern,
): Examined {
  const isTimeout = pattern === "task_timeouts" && runP95Ms !== null;
  const ran = isTimeout ? ` Of those that were done, 95 % ran for at most ${age(runP95Ms)}.` : "";
  return examineShare({
    pattern,
    subject: type,
    minimum: 20,
    usual,
    cases: tasks,
    isHit,
    title: `Tasks of the type ${type} ${what}`,
    text: (counted) => `${counted} ended tasks ${seen}.${ran}`,
    advice,
    figures: () => (runP95Ms === null ? {} : { runP95Ms }),
  });
}

const longWaitMs = 60_000;

function longest(waited: TaskTypeHistory["queued"]) {
  return {
    longestMs: Math.max(...waited.map(({ waitedMs }) => waitedMs)),
    idleChats: Math.max(...waited.map(({ idleChats }) => idleChats)),
  };
}

/** Tasks that are queued for long while a chat that takes their type is idle. */
function waits({ type, queued }: TaskTypeHistory): Examined {
  return examineShare({
    pattern: "waits_with_idle_chats",
    subject: type,
    minimum: 10,
    usual: 0.1,
    cases: queued,
    isHit: ({ waitedMs, idleChats }) => waitedMs > longWaitMs && idleChats > 0,
    title: `Tasks of the type ${type} wait while chats are idle`,
    text: (counted, waited) => {
      const { longestMs, idleChats } = longest(waited);
      return `${counted} queued tasks have waited for over a minute, the longest ${age(longestMs)}, while ${idleChats} chats with free capacity take this type.`;
    },
    advice:
      "Seen at one moment. Compare the capabilities that the tasks require with those of the chats: `shim task show <task>`.",
    figures: longest,
    basis: "moment",
  });
}

const minChats = 3;

/** One chat had more than twice the share that its capacity gives it. */
function unevenLoad({ chats, balancingIntervalMs }: TeamHistory): Examined {
  const able = chats.filter(({ capacity }) => capacity > 0);
  const capacity = sum(able.map((one) => one.capacity));
  const tasks = sum(able.map((one) => one.tasks));
  const tests = able.map((one) => {
    const fair = one.capacity / capacity;
    return { share: one.tasks / Math.max(1, tasks), fair, pValue: atLeast(one.tasks, tasks, Math.min(1, 2 * fair)) };
  });
  const busiest = tests.toSorted((a, b) => a.pValue - b.pValue)[0] ?? { share: 0, fair: 0, pValue: 1 };
  const { share, fair, pValue } = busiest;
  return {
    pattern: "uneven_load",
    subject: "balancingIntervalMs",
    n: able.length < minChats ? 0 : tasks,
    minimum: 50,
    pValue: Math.min(1, pValue * able.length),
    toFinding: () => ({
      title: "One chat does most of the work",
      text: `Of ${tasks} tasks of the last hour one of ${able.length} chats did ${percent(share)}; its capacity is ${percent(fair)} of all.`,
      advice:
        "A shorter interval moves waiting tasks sooner; capacities and capabilities may be the cause. `shim learn replay workspace` compares values.",
      figures: { share, fair, chats: able.length },
      step: stepOf(balancingIntervalMs, "balancingIntervalMs", "down"),
    }),
  };
}

/** A lower share of accepted tasks within it makes no difference that matters. */
const margin = 0.1;

/** Each model of a task type against the cheaper ones. */
function examineModels(models: readonly ModelOutcomes[]): Examined[] {
  return models.flatMap((dear) =>
    models
      .filter(({ type, costMicros }) => type === dear.type && costMicros < dear.costMicros)
      .map((cheap) => compareModels(cheap, dear)),
  );
}

function toCounted({ tasks, accepted }: ModelOutcomes): Counted {
  return { n: tasks, hits: accepted };
}

function compareModels(cheap: ModelOutcomes, dear: ModelOutcomes): Examined {
  const n = Math.min(cheap.tasks, dear.tasks);
  const subject = `${cheap.type}: ${cheap.model} for ${dear.model}`;
  return {
    pattern: "cheaper_model",
    subject,
    n,
    minimum: 50,
    pValue: n === 0 ? 1 : notWorse(toCounted(cheap), toCounted(dear), margin),
    toFinding: () => {
      const [share, dearShare] = [cheap.accepted / cheap.tasks, dear.accepted / dear.tasks];
      const saved = dear.costMicros - cheap.costMicros;
      return {
        title: `A cheaper model does as well: ${subject}`,
        text: `Of its tasks ${percent(share)} were accepted, of the other's ${percent(dearShare)}; a task costs $${(saved / 1e6).toFixed(4)} less.`,
        advice: "Route this task type to it, and watch the share.",
        figures: { share, ...shareInterval(cheap.accepted, cheap.tasks), dearShare, saved },
        basis: "association",
      };
    },
  };
}

export function examineRejectedChanges(changes: readonly PastChange[]): Examined[] {
  return [...Map.groupBy(changes, ({ rule }) => rule)].map(([rule, decided]) =>
    examineShare({
      pattern: "evolve_rejected",
      subject: rule,
      minimum: 8,
      usual: 0.3,
      cases: decided,
      isHit: ({ isRejected }) => isRejected,
      title: `Changes by \`shim code evolve\` are rejected: ${rule}`,
      text: (counted) => `People rejected ${counted} changes that were about this rule.`,
      advice: "It is not proposed any more. If the rule itself is unwanted, switch it off in the project's settings.",
    }),
  );
}

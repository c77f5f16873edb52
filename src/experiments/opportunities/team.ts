import { sum } from "simple-statistics";
import type { OpportunityPattern } from "../../contract/opportunities.ts";
import { atLeast, notWorse, shareInterval } from "../exact-tests.ts";
import { examineShare, percent, stepOf, time, type Examined } from "./finding.ts";
import type { ModelOutcomes, PastTask, TaskTypeHistory, TeamHistory } from "./history.ts";

export function examineTeam(team: TeamHistory): Examined[] {
  return [
    ...team.taskTypes.flatMap((one) => [...taskPatterns.map((pattern) => ends(one, pattern)), waits(one)]),
    unevenLoad(team),
    ...cameBack(team),
    ...examineModels(team.models ?? []),
  ];
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
const minTasks = 20;
const longWaitMs = 60_000;
const minChats = 3;

function ends(
  { type, tasks, runP95Ms }: TaskTypeHistory,
  { what, seen, advice, isHit, ...known }: TaskPattern,
): Examined {
  return examineShare({
    ...known,
    subject: type,
    minimum: minTasks,
    n: tasks.length,
    hits: tasks.filter(isHit).length,
    toFinding: (counted) => {
      const ran = runP95Ms === null ? "" : ` Of those that were done, 95 % ran for at most ${time(runP95Ms)}.`;
      return {
        title: `Tasks of the type ${type} ${what}`,
        text: `${counted} ended tasks ${seen}.${known.pattern === "task_timeouts" ? ran : ""}`,
        advice,
        figures: runP95Ms === null ? {} : { runP95Ms },
      };
    },
  });
}

/** Tasks that are queued for long while a chat that takes their type is idle. */
function waits({ type, queued }: TaskTypeHistory): Examined {
  const waited = queued.filter(({ waitedMs, idleChats }) => waitedMs > longWaitMs && idleChats > 0);
  return examineShare({
    pattern: "waits_with_idle_chats",
    subject: type,
    minimum: 10,
    usual: 0.1,
    n: queued.length,
    hits: waited.length,
    toFinding: (counted) => {
      const longestMs = Math.max(...waited.map(({ waitedMs }) => waitedMs));
      const idleChats = Math.max(...waited.map((task) => task.idleChats));
      return {
        title: `Tasks of the type ${type} wait while chats are idle`,
        text: `${counted} queued tasks have waited for over a minute, the longest ${time(longestMs)}, while ${idleChats} chats with free capacity take this type.`,
        advice:
          "Seen at one moment. Compare the capabilities that the tasks require with those of the chats: `shim task show <task>`.",
        figures: { longestMs, idleChats },
        basis: "moment",
      };
    },
  });
}

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

function cameBack({ departures, chatTtlMs }: TeamHistory): Examined[] {
  if (departures === null) return [];
  return [
    examineShare({
      pattern: "chats_came_back",
      subject: "chatTtlMs",
      minimum: 10,
      usual: 0.2,
      n: departures.length,
      hits: departures.filter(({ isBack }) => isBack).length,
      toFinding: (counted) => ({
        title: "Chats that were declared gone came back",
        text: `${counted} chats that went offline after silence registered again within ten minutes, as the same process.`,
        advice:
          "A longer time waits for them, and keeps the tasks of a dead chat as much longer. `shim learn replay workspace` compares values.",
        step: stepOf(chatTtlMs, "chatTtlMs", "up"),
      }),
    }),
  ];
}

/** A lower share of accepted tasks within it makes no difference that matters. */
const margin = 0.1;
const minModelTasks = 50;

/** Each model of a task type against the cheaper ones. */
function examineModels(models: readonly ModelOutcomes[]): Examined[] {
  return models.flatMap((dear) =>
    models
      .filter(({ type, costMicros }) => type === dear.type && costMicros < dear.costMicros)
      .map((cheap) => compareModels(cheap, dear)),
  );
}

function compareModels(cheap: ModelOutcomes, dear: ModelOutcomes): Examined {
  const n = Math.min(cheap.tasks, dear.tasks);
  const subject = `${cheap.type}: ${cheap.model} for ${dear.model}`;
  const [share, dearShare] = [cheap, dear].map(({ accepted, tasks }) => accepted / tasks) as [number, number];
  const saved = dear.costMicros - cheap.costMicros;
  const counts = [cheap, dear].map(({ tasks, accepted }) => ({ n: tasks, hits: accepted })) as [Counts, Counts];
  return {
    pattern: "cheaper_model",
    subject,
    n,
    minimum: minModelTasks,
    pValue: n === 0 ? 1 : notWorse(...counts, margin),
    toFinding: () => ({
      title: `A cheaper model does as well: ${subject}`,
      text: `Of its tasks ${percent(share)} were accepted, of the other's ${percent(dearShare)}; a task costs $${(saved / 1e6).toFixed(4)} less.`,
      advice: "Route this task type to it, and watch the share.",
      figures: { share, ...shareInterval(cheap.accepted, cheap.tasks), dearShare, saved },
      basis: "association",
    }),
  };
}

type Counts = Parameters<typeof notWorse>[0];

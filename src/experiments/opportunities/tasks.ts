import type { OpportunityPattern } from "../../contract/opportunities.ts";
import { byPerson, examineShare, type Examined } from "./finding.ts";
import type { PastTask, TaskTypeHistory, TeamHistory } from "./history.ts";

interface TaskPattern {
  readonly pattern: OpportunityPattern;
  readonly usual: number;
  readonly isHit: (task: PastTask) => boolean;
}

/** Tasks are counted, not attempts: the attempts of one task fail together. */
const taskPatterns: readonly TaskPattern[] = [
  { pattern: "task_retries", usual: 0.2, isHit: ({ failed }) => failed > 0 },
  { pattern: "task_timeouts", usual: 0.1, isHit: ({ timeouts }) => timeouts > 0 },
  { pattern: "task_stalls", usual: 0.1, isHit: ({ stalls }) => stalls > 0 },
  { pattern: "task_poison", usual: 0.05, isHit: ({ isPoison }) => isPoison },
];
const minTasks = 20;
const longWaitMs = 60_000;

export function examineTasks({ taskTypes }: TeamHistory): Examined[] {
  return taskTypes.flatMap((one) => [...taskPatterns.map((pattern) => ends(one, pattern)), waits(one)]);
}

function ends({ type, tasks, runP95Ms }: TaskTypeHistory, { pattern, usual, isHit }: TaskPattern): Examined {
  return examineShare({
    pattern,
    subject: type,
    minimum: minTasks,
    usual,
    n: tasks.length,
    hits: tasks.filter(isHit).length,
    toFinding: () => byPerson(null, runP95Ms === null ? {} : { runP95Ms }),
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
    toFinding: () => {
      const longestMs = Math.max(...waited.map(({ waitedMs }) => waitedMs));
      const idleChats = Math.max(...waited.map((task) => task.idleChats));
      return { ...byPerson(null, { longestMs, idleChats }), basis: "moment" };
    },
  });
}

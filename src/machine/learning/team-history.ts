import type { CallInput, CallName, OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import type {
  ModelOutcomes,
  PastTask,
  TaskTypeHistory,
  TeamHistory,
} from "../../learning/experiments/opportunities/history.ts";
import { type OperationResult, ok } from "../../shared/result.ts";

/** Calls are billed on the edge: lists end after so many items, histories after so many tasks. */
const maxListed = 4_000;
const maxHistories = 300;
const maxTypes = 20;
const parallel = 10;

interface Link {
  readonly call: <Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
  ) => Promise<OperationResult<OutputOf<Name>>>;
}

/** Reads with the rights of an observer. */
export async function readTeam(link: Link, now: number): Promise<OperationResult<TeamHistory>> {
  const listed = await fetchPages(link, "chats.list", {}, { max: maxListed });
  if (!listed.ok) return listed;
  const load = await link.call("tasks.load", {});
  if (!load.ok) return load;
  const taskTypes = await readTaskTypes(link, now);
  if (!taskTypes.ok) return taskTypes;
  const done = new Map(load.value.chats.map(({ chatId, throughput }) => [chatId, throughput]));
  return ok({
    taskTypes: taskTypes.value,
    chats: listed.value.chats.flatMap(({ chat, capacity }) => {
      const tasks = done.get(chat);
      return tasks === undefined ? [] : [{ capacity, tasks }];
    }),
    models: await readModels(link),
  });
}

async function readTaskTypes(link: Link, now: number): Promise<OperationResult<TaskTypeHistory[]>> {
  const stats = await link.call("tasks.stats", {});
  if (!stats.ok) return stats;
  const listed = await fetchPages(link, "tasks.list", {}, { max: maxListed });
  if (!listed.ok) return listed;
  const ended = listed.value.tasks.filter(({ state }) => state === "done" || state === "dead").slice(-maxHistories);
  const past: { readonly type: string; readonly task: PastTask }[] = [];
  for (let at = 0; at < ended.length; at += parallel) {
    const part = ended.slice(at, at + parallel).map(async (line) => {
      const history = await link.call("tasks.history", { task: line.task, limit: 100 });
      // A pruned task has none.
      return history.ok ? [{ type: line.type, task: toPastTask(line, history.value, now) }] : [];
    });
    past.push(...(await Promise.all(part)).flat());
  }
  return ok(
    stats.value.types.map(({ type, run }) => ({
      type,
      tasks: past.filter((one) => one.type === type).map(({ task }) => task),
      runP95Ms: run?.p95Ms ?? null,
    })),
  );
}

function toPastTask({ ageMs }: TaskLine, { attempts }: OutputOf<"tasks.history">, now: number): PastTask {
  const countEnds = (end: (typeof attempts)[number]["end"]): number => attempts.filter((one) => one.end === end).length;
  return {
    at: now - Math.min(ageMs, ...attempts.map(({ endedAgeMs }) => endedAgeMs)),
    timeouts: countEnds("timeout"),
    stalls: countEnds("stalled"),
  };
}

/** Models are compared among tasks that look alike. @returns null where no coordinator answers */
async function readModels(link: Link): Promise<ModelOutcomes[] | null> {
  const known = await link.call("tasks.routes", {});
  if (!known.ok) return null;
  const outcomes: ModelOutcomes[] = [];
  for (const type of known.value.types.slice(0, maxTypes)) {
    const found = await link.call("tasks.routes", { type });
    const tiers = found.ok ? (found.value.routes?.tiers ?? []) : [];
    for (const { model, effort, band, tried, succeeded, meanCostMicros } of tiers) {
      const name = effort === null ? model : `${model} (${effort})`;
      if (meanCostMicros !== null)
        outcomes.push({
          type: `${type}, ${band}`,
          model: name,
          tasks: tried,
          accepted: succeeded,
          costMicros: meanCostMicros,
        });
    }
  }
  return outcomes;
}

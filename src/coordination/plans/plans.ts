import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { SplitStrategy, type GivenPart, type Job } from "../../contract/plans.ts";
import { NewTask } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { complexityThreshold as threshold, estimateComplexity } from "../../shared/complexity.ts";
import { joinName, split } from "./decompose.ts";
import { once } from "../kernel/idempotency.ts";
import { formatIssues } from "../../shared/problems.ts";
import { submitOnce } from "../tasks/submit.ts";
import * as dedupe from "../tasks/task-dedupe.ts";
import * as rows from "../tasks/task-rows.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

type Submitted = OutputOf<"plans.submit">;
type Estimated = OutputOf<"plans.estimate">;

export const handlers = {
  "plans.estimate"(_tx, input) {
    const planned = plan(input);
    if (!planned.ok) return planned;
    const { complexity, parts, reason } = planned.value;
    return ok({ complexity, parts: parts && [...parts], reason });
  },

  /** All or nothing; a repeat submits nothing. */
  "plans.submit"(tx, input) {
    const { requestId, by, ...content } = input;
    const request = { operation: "plans.submit", by, requestId, input: content };
    return once(tx, request, () => submitJob(tx, input)).result;
  },
} satisfies Partial<Handlers>;

interface JobPlan {
  readonly complexity: Estimated["complexity"];
  readonly parts: readonly GivenPart[] | null;
  readonly reason: string | null;
}

/** Splits above the threshold, on request, or as listed. */
function plan({ job, strategy, maxParts, isForced }: CheckedInputOf<"plans.estimate">): Result<JobPlan, Refusal> {
  const { score, isAboveThreshold, reasons } = estimateComplexity(job);
  const complexity = { score, threshold, isAboveThreshold, reasons: [...reasons] };
  if (!isAboveThreshold && !isForced && strategy?.by !== "list") {
    return ok({ complexity, parts: null, reason: `its complexity ${score} is not above ${threshold}` });
  }
  const parts = strategy ? split(job, strategy, maxParts) : splitByDefault(job, maxParts);
  if (parts.ok) return ok({ complexity, parts: parts.value, reason: null });
  return strategy ? parts : ok({ complexity, parts: null, reason: parts.error.message });
}

function splitByDefault(job: Job, maxParts: number): Result<readonly GivenPart[], Refusal> {
  const byModule = split(job, { by: "module" }, maxParts);
  if (byModule.ok) return byModule;
  const others = [{ by: "file" } as const, SplitStrategy.parse({ by: "phase" })];
  return others.map((strategy) => split(job, strategy, maxParts)).find(({ ok: isSplit }) => isSplit) ?? byModule;
}

function submitJob(tx: Tx, input: CheckedInputOf<"plans.submit">): Result<Submitted, Refusal> {
  const planned = plan(input);
  if (!planned.ok) return planned;
  const { complexity, parts, reason } = planned.value;
  const duplicate = findDuplicate(tx, input);
  if (duplicate) return ok({ complexity, ...duplicate, isDuplicate: true, parts: [], reason });
  const stored = submitDrafts(tx, parts ? draftTasks(input, parts) : [draftWholeJob(input)]);
  if (!stored.ok) return stored;
  const { root, others } = stored.value;
  const namedParts = (parts ?? []).flatMap(({ name }, at) => others.slice(at, at + 1).map((task) => ({ name, task })));
  return ok({ complexity, ...root, isDuplicate: false, parts: namedParts, reason });
}

type RootTask = Pick<Submitted, "task" | "state">;

function findDuplicate(tx: Tx, { dedupeKey }: CheckedInputOf<"plans.submit">): RootTask | null {
  const task = dedupeKey === undefined ? undefined : dedupe.find(tx, dedupeKey);
  return task === undefined ? null : { task, state: rows.find(tx, task)?.state ?? null };
}

interface StoredJob {
  readonly root: RootTask;
  readonly others: readonly number[];
}

function submitDrafts(tx: Tx, drafts: readonly TaskDraft[]): Result<StoredJob, Refusal> {
  const tasks = validateDrafts(drafts);
  if (!tasks.ok) return tasks;
  const stored = submitOnce(tx, tasks.value);
  if (!stored.ok) return stored;
  const [root, ...others] = stored.value.tasks;
  if (!root) throw new Error("submitting one task returned none");
  return ok({ root: { task: root.task, state: root.state }, others: others.map(({ task }) => task) });
}

type TaskDraft = Parameters<typeof NewTask.safeParse>[0];

function jobSummary({ title, text, payload }: Job): Pick<Job, "title" | "text" | "payload"> {
  return { title, text, payload };
}

function draftWholeJob({ job, type, options, dedupeKey }: CheckedInputOf<"plans.submit">): TaskDraft {
  return {
    ...options,
    type,
    dedupeKey,
    payload: { job: { ...jobSummary(job), files: job.files.map(({ path }) => path) } },
  };
}

function draftTasks(input: CheckedInputOf<"plans.submit">, parts: readonly GivenPart[]): TaskDraft[] {
  const { job, type, options, joinRule, joinType, onPartDeath, dedupeKey } = input;
  const joinTask = {
    ...options,
    affinity: undefined,
    type: joinRule === undefined ? (joinType ?? type) : type,
    ref: joinName,
    dedupeKey,
    joinRule,
    dependsOn: parts.map(({ name }) => name),
    onDependencyDeath: onPartDeath,
    payload: { job: jobSummary(job), join: parts.map(({ name, text }) => ({ name, text })) },
  };
  return [
    joinTask,
    ...parts.map(({ name, text, files, dependsOn }) => ({
      ...options,
      type,
      ref: name,
      parent: joinName,
      dependsOn,
      payload: { job: jobSummary(job), part: { name, text, files } },
    })),
  ];
}

function validateDrafts(drafts: readonly TaskDraft[]): Result<NewTask[], Refusal> {
  const tasks: NewTask[] = [];
  for (const draft of drafts) {
    const task = NewTask.safeParse(draft);
    if (!task.success) {
      const message = `a task of this job cannot be submitted: ${formatIssues(task.error)}`;
      return err({ code: "bad_input", message });
    }
    tasks.push(task.data);
  }
  return ok(tasks);
}

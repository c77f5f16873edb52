import type { OutputOf } from "#src/contract/operations.ts";
import type { NewTask } from "#src/contract/tasks.ts";
import type { Rng } from "../rng.ts";
import type { Act } from "./acts.ts";
import type { Client } from "./client.ts";
import { chatName } from "./message-acts.ts";

const taskTypes = ["x", "y", "z"] as const;
/** With more than this under way nobody submits anything. */
const mostOpen = 60;

/** What any chat can do. */
export function plainTask(job: number): NewTask {
  return {
    type: "x",
    payload: { job },
    priority: 5,
    capabilities: [],
    delayMs: 0,
    startToCloseMs: 600_000,
    heartbeatMs: 60_000,
    maxAttempts: 3,
    backoff: { baseMs: 2_000, capMs: 60_000, hasJitter: true },
    onDuplicate: "existing",
    dependsOn: [],
    onDependencyDeath: "fail",
    tags: [],
  };
}

function newTask(client: Client, rng: Rng, isNamed: boolean): NewTask {
  const isKeyed = isNamed && rng.chance(0.15);
  return {
    ...plainTask(client.around.oracle.queue.newJob(isNamed && !isKeyed)),
    type: rng.pick(taskTypes),
    priority: rng.pick([1, 5, 5, 9]),
    capabilities: rng.pick([[], [], ["gpu"], ["arm", "gpu"]]),
    ...(rng.chance(0.1) ? { affinity: chatName(rng.below(8)) } : {}),
    ...timesOf(rng),
    maxAttempts: rng.between(1, 4),
    ...(rng.chance(0.15) ? { budget: { tokens: rng.pick([20, 60, 150]) } } : {}),
    ...(isKeyed ? { dedupeKey: `k${rng.below(12)}` } : {}),
    onDuplicate: rng.pick(["existing", "existing", "reject"] as const),
    onDependencyDeath: rng.chance(0.3) ? "ignore" : "fail",
  };
}

function timesOf(rng: Rng): Partial<NewTask> {
  return {
    delayMs: rng.chance(0.2) ? rng.between(500, 30_000) : 0,
    ...(rng.chance(0.12) ? { scheduleToStartMs: rng.pick([2_000, 15_000, 60_000]) } : {}),
    startToCloseMs: rng.pick([5_000, 20_000, 60_000, 600_000]),
    heartbeatMs: rng.pick([3_000, 10_000, 30_000, 60_000]),
    backoff: { baseMs: rng.pick([0, 500, 2_000]), capMs: rng.pick([3_000, 60_000]), hasJitter: rng.chance(0.5) },
  };
}

/** A request without an id is sent once, by another program: a copy would be another submit. */
function submit(client: Client, rng: Rng, make: (isNamed: boolean) => NewTask[]): void {
  if (client.around.oracle.tasks.countOpen > mostOpen) return;
  const isNamed = rng.chance(0.9);
  const tasks = make(isNamed);
  const by = client.identity.chat;
  if (isNamed) client.run(() => send(client, { tasks, by }));
  else client.post("tasks.submit", { tasks, by });
}

/** Under one id until it is answered, unless a bug is planted. */
async function send(client: Client, input: { tasks: NewTask[]; by: string }, left = 3): Promise<void> {
  const { submitsAnew } = client.around.bugs;
  const reply = await client.call("tasks.submit", input, submitsAnew ? 2_000 : undefined);
  if (reply.ok) return accepted(client, input.tasks, reply.value.tasks);
  if (submitsAnew && reply.error.code === "outcome_unknown" && left > 0) await send(client, input, left - 1);
}

function accepted({ around }: Client, tasks: readonly NewTask[], told: OutputOf<"tasks.submit">["tasks"]): void {
  for (const [place, { task, isDuplicate }] of told.entries()) {
    const { job = 0 } = (tasks[place]?.payload ?? {}) as { job?: number };
    if (!isDuplicate) around.oracle.queue.accepted(job, task);
  }
}

function one(client: Client, rng: Rng): void {
  submit(client, rng, (isNamed) => [newTask(client, rng, isNamed)]);
}

function many(client: Client, rng: Rng): void {
  submit(client, rng, (isNamed) => Array.from({ length: rng.between(2, 12) }, () => newTask(client, rng, isNamed)));
}

/** Some of them depend on others before them, or on known ones; now and then in a circle, which is refused. */
function graph(client: Client, rng: Rng): void {
  const size = rng.between(2, 7);
  const known = client.around.oracle.tasks.some(rng);
  const isCircle = rng.chance(0.1);
  submit(client, rng, (isNamed) => {
    const last = size - 1;
    return Array.from({ length: size }, (_, place): NewTask => {
      const before = Array.from({ length: place }, (_, other) => `t${other}`).filter(() => rng.chance(0.5));
      const others = known !== null && rng.chance(0.2) ? [known] : [];
      const around = isCircle ? circleAt(place, last) : [];
      const { dedupeKey: _key, ...plain } = newTask(client, rng, isNamed);
      const dependsOn = [...new Set([...before, ...others, ...around])];
      const parent = place > 0 && rng.chance(0.2) ? { parent: "t0" } : {};
      const task = { ...plain, ref: `t${place}`, dependsOn, ...parent };
      return place === last && dependsOn.length > 0 ? joinedOrNot(rng, task) : task;
    });
  });
}

/** The first one waits for the last, and the last one for the first. */
function circleAt(place: number, last: number): string[] {
  if (place === 0) return [`t${last}`];
  return place === last ? ["t0"] : [];
}

/** A join has no time of its own. */
function joinedOrNot(rng: Rng, task: NewTask): NewTask {
  if (!rng.chance(0.4)) return task;
  const { scheduleToStartMs: _withinMs, ...plain } = task;
  return { ...plain, delayMs: 0, joinRule: rng.pick(["collect", "count"] as const) };
}

function onSome(client: Client, rng: Rng, work: (task: number) => void): void {
  const task = client.around.oracle.tasks.some(rng);
  if (task !== null) work(task);
}

function cancel(client: Client, rng: Rng): void {
  onSome(client, rng, (task) => client.send("tasks.cancel", { task, reason: "not wanted" }));
}

function replay(client: Client, rng: Rng): void {
  if (rng.chance(0.5)) {
    const filter = {
      limit: rng.between(1, 5),
      ...(rng.chance(0.5) ? { reason: rng.pick(["failed", "poison", "expired"] as const) } : {}),
    };
    return client.send("tasks.replay", { filter });
  }
  onSome(client, rng, (task) => client.send("tasks.replay", { task }));
}

function look(client: Client, rng: Rng): void {
  if (rng.chance(0.2)) return client.send("tasks.progress", {});
  onSome(client, rng, (task) => {
    if (rng.chance(0.3)) client.send("tasks.history", { task, limit: 100 });
    else client.send("tasks.get", { task });
  });
}

export const taskActs: readonly Act[] = [
  { name: "submit", weight: 9, run: one },
  { name: "submit many", weight: 2, run: many },
  { name: "submit a graph", weight: 3, run: graph },
  {
    name: "ask for tasks",
    weight: 9,
    run: (client, rng) =>
      client.working.ask({
        limit: rng.pick([1, 1, 2, 5]),
        isStarted: rng.chance(0.6),
        ...(rng.chance(0.2) ? { types: [rng.pick(taskTypes)] } : {}),
      }),
  },
  { name: "call on an old claim", weight: 3, run: (client, rng) => client.run(() => client.working.callLate(rng)) },
  { name: "cancel", weight: 2, run: cancel },
  { name: "replay", weight: 2, run: replay },
  {
    name: "discard",
    weight: 1,
    run: (client, rng) => onSome(client, rng, (task) => client.send("tasks.discard", { task, reason: "useless" })),
  },
  { name: "look at a task", weight: 5, run: look },
];

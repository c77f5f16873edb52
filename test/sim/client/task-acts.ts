import type { NewTask } from "#src/contract/tasks.ts";
import type { Rng } from "../sim.ts";
import type { Act } from "./acts.ts";
import { chatName, type Client } from "./client.ts";

const taskTypes = ["x", "y", "z"] as const;
/** With more open tasks no process submits any. */
const mostOpen = 60;

export function plainTask(rng: Rng): NewTask {
  return {
    type: "x",
    payload: { n: rng.below(1_000) },
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

function newTask(rng: Rng, isNamed: boolean): NewTask {
  return {
    ...plainTask(rng),
    type: rng.pick(taskTypes),
    priority: rng.pick([1, 5, 5, 9]),
    capabilities: rng.pick([[], [], ["gpu"], ["arm", "gpu"]]),
    ...(rng.chance(0.1) ? { affinity: chatName(rng.below(8)) } : {}),
    delayMs: rng.chance(0.2) ? rng.between(500, 30_000) : 0,
    ...(rng.chance(0.12) ? { scheduleToStartMs: rng.pick([2_000, 15_000, 60_000]) } : {}),
    startToCloseMs: rng.pick([5_000, 20_000, 60_000, 600_000]),
    heartbeatMs: rng.pick([3_000, 10_000, 30_000, 60_000]),
    backoff: { baseMs: rng.pick([0, 500, 2_000]), capMs: rng.pick([3_000, 60_000]), hasJitter: rng.chance(0.5) },
    maxAttempts: rng.between(1, 4),
    ...(rng.chance(0.15) ? { budget: { tokens: rng.pick([20, 60, 150]) } } : {}),
    ...(isNamed && rng.chance(0.15) ? { dedupeKey: `k${rng.below(12)}` } : {}),
    onDuplicate: rng.pick(["existing", "existing", "reject"] as const),
    onDependencyDeath: rng.chance(0.3) ? "ignore" : "fail",
  };
}

/** A submit without an id is sent once, by another program: its copy would be another submit. */
function submit(client: Client, rng: Rng, make: (isNamed: boolean) => NewTask[]): void {
  if (client.world.oracle.tasks.countOpen > mostOpen) return;
  const isNamed = rng.chance(0.9);
  const tasks = make(isNamed);
  const by = client.identity.chat;
  if (isNamed) client.send("tasks.submit", { tasks, by });
  else client.post("tasks.submit", { tasks, by });
}

/** Tasks that depend on earlier ones of the submit, or on known ones; some in a circle, which is refused. */
function submitGraph(client: Client, rng: Rng): void {
  const last = rng.between(1, 6);
  const known = client.world.oracle.tasks.some(rng);
  const isCircle = rng.chance(0.1);
  submit(client, rng, (isNamed) =>
    Array.from({ length: last + 1 }, (_, index): NewTask => {
      const before = Array.from({ length: index }, (_task, other) => `t${other}`).filter(() => rng.chance(0.5));
      const others = known !== null && rng.chance(0.2) ? [known] : [];
      const circle = !isCircle ? [] : index === 0 ? [`t${last}`] : index === last ? ["t0"] : [];
      const dependsOn = [...new Set([...before, ...others, ...circle])];
      const { dedupeKey: _key, ...plain } = newTask(rng, isNamed);
      const parent = index > 0 && rng.chance(0.2) ? { parent: "t0" } : {};
      const task = { ...plain, ref: `t${index}`, dependsOn, ...parent };
      if (index < last || dependsOn.length === 0 || !rng.chance(0.4)) return task;
      // A join by rule takes no time settings of its own.
      const { scheduleToStartMs: _withinMs, ...timeless } = task;
      return { ...timeless, delayMs: 0, joinRule: rng.pick(["collect", "count"] as const) };
    }),
  );
}

function replay(client: Client, rng: Rng): void {
  if (rng.chance(0.5)) return onSome((task) => client.send("tasks.replay", { task }))(client, rng);
  const reason = rng.chance(0.5) ? { reason: rng.pick(["failed", "poison", "expired"] as const) } : {};
  client.send("tasks.replay", { filter: { limit: rng.between(1, 5), ...reason } });
}

function onSome(work: (task: number, client: Client) => void): Act["run"] {
  return (client, rng) => {
    const task = client.world.oracle.tasks.some(rng);
    if (task !== null) work(task, client);
  };
}

function ask(client: Client, rng: Rng): void {
  client.working.ask({
    limit: rng.pick([1, 1, 2, 5]),
    isStarted: rng.chance(0.6),
    ...(rng.chance(0.2) ? { types: [rng.pick(taskTypes)] } : {}),
  });
}

export const taskActs: readonly Act[] = [
  {
    name: "submit",
    weight: 9,
    run: (client, rng) => submit(client, rng, (isNamed) => [newTask(rng, isNamed)]),
  },
  {
    name: "submit many",
    weight: 2,
    run: (client, rng) =>
      submit(client, rng, (isNamed) => Array.from({ length: rng.between(2, 12) }, () => newTask(rng, isNamed))),
  },
  { name: "submit a graph", weight: 3, run: submitGraph },
  { name: "ask for tasks", weight: 9, run: ask },
  { name: "call on an old claim", weight: 3, run: (client, rng) => client.run(() => client.working.callLate(rng)) },
  {
    name: "cancel",
    weight: 2,
    run: onSome((task, client) => client.send("tasks.cancel", { task, reason: "not wanted" })),
  },
  { name: "replay", weight: 2, run: replay },
  {
    name: "discard",
    weight: 1,
    run: onSome((task, client) => client.send("tasks.discard", { task, reason: "useless" })),
  },
  { name: "read a task", weight: 5, run: onSome((task, client) => client.send("tasks.get", { task })) },
];

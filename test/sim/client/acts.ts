import type { Priority, Target } from "#src/contract/messages.ts";
import type { NewTask } from "#src/contract/tasks.ts";
import type { Write } from "#src/contract/state.ts";
import type { Rng } from "../sim.ts";
import { chatName, type Client } from "./client.ts";
import { leaseActs } from "./leasing.ts";

/** Something that a process does by itself. All chance comes from the generator that it gets. */
export type Act = Readonly<{ name: string; weight: number; run: (client: Client, rng: Rng) => void }>;

const counters = ["count/a", "count/b", "count/c"];

function replace(client: Client, rng: Rng): void {
  const write = { key: rng.pick(counters), value: rng.below(1_000), by: client.identity.chat };
  client.run(async () => {
    const found = await client.call("state.get", { key: write.key });
    if (!found.ok) return;
    await client.call("state.set", { ...write, ifVersion: found.value.entry?.version ?? 0 });
  });
}

function setForAWhile(client: Client, rng: Rng): void {
  const key = `${rng.chance(0.2) ? "session" : "tmp"}/${rng.below(6)}`;
  client.send("state.set", { key, ttlMs: rng.between(1_000, 60_000), value: rng.below(1_000) });
}

function several(client: Client, rng: Rng): void {
  const keys = [0, 1, 2, 3].filter(() => rng.chance(0.6)).map((number) => `tmp/${number}`);
  if (keys.length === 0) return;
  const writes = keys.map((key): Write => {
    if (rng.chance(0.3)) return { op: "delete", key };
    const write = { op: "set", key, value: rng.below(1_000) } as const;
    return rng.chance(0.2) ? Object.assign(write, { ifVersion: 0 }) : write;
  });
  client.send("state.update", { writes, guards: [] });
}

function readChanges(client: Client, rng: Rng): void {
  const { prefix, revision } = client.watching;
  client.send("state.changes", { prefix, after: revision, limit: rng.pick([1, 2, 5, 20, 200]) });
}

const stateActs: readonly Act[] = [
  { name: "replace", weight: 14, run: replace },
  { name: "set for a while", weight: 6, run: setForAWhile },
  { name: "delete", weight: 3, run: (client, rng) => client.send("state.delete", { key: `tmp/${rng.below(6)}` }) },
  { name: "several at once", weight: 5, run: several },
  { name: "read changes", weight: 14, run: readChanges },
];

const topics = ["build.web", "build.api", "build.web.css", "review", "chatter.x"];
const patterns = ["build.*", "build.**", "build.web", "**", "review", "*.x", "chatter.*"];
const priorities: readonly Priority[] = ["low", "normal", "normal", "high"];

function targetOf(rng: Rng): Target {
  if (rng.chance(0.15)) return { to: "all" };
  return rng.chance(0.5) ? { to: "topic", topic: rng.pick(topics) } : { to: "chat", chat: chatName(rng.below(8)) };
}

function send(client: Client, rng: Rng): void {
  const about = { target: targetOf(rng), body: { n: rng.below(1_000) }, priority: rng.pick(priorities) };
  client.send("messages.send", { ...about, ttlMs: rng.pick([2_000, 30_000, 300_000, 3_600_000]) });
}

/** Reads some messages beside the client's inbox, and acknowledges all or some of them. */
async function readMessages(client: Client, rng: Rng): Promise<void> {
  const isUrgent = rng.chance(0.1);
  const limit = rng.pick([1, 3, 10, 50]);
  const pulled = await client.call("messages.pull", { limit, ...(isUrgent ? { minPriority: "high" } : {}) });
  if (!pulled.ok || pulled.value.messages.length === 0) return;
  const ids = pulled.value.messages.map(({ id }) => id);
  // A cursor covers every older message, so it is used only when all are known.
  const isByCursor = !pulled.value.isMore && !isUrgent && rng.chance(0.4);
  const some = rng.chance(0.3) ? ids.filter(() => rng.chance(0.5)) : ids;
  const read = isByCursor ? { cursor: Math.max(...ids) + rng.pick([0, 0, 99]), ids: [] } : { ids: some };
  await client.call("messages.ack", read);
}

const messageActs: readonly Act[] = [
  { name: "send", weight: 14, run: send },
  ...(["subscribe", "unsubscribe"] as const).map((name, index): Act => ({
    name,
    weight: 3 - index,
    run: (client, rng) => client.send(`messages.${name}`, { pattern: rng.pick(patterns) }),
  })),
  { name: "read messages", weight: 16, run: (client, rng) => client.run(() => readMessages(client, rng)) },
];

function heartbeat(client: Client, rng: Rng): void {
  const status = rng.pick(["idle", "busy", "stuck"] as const);
  client.send("chats.heartbeat", { status, progress: `${rng.below(5)}` });
}

const chatActs: readonly Act[] = [
  { name: "heartbeat", weight: 4, run: heartbeat },
  { name: "register again", weight: 1, run: (client) => client.run(() => client.registerAgain()) },
  { name: "leave", weight: 1, run: (client) => client.run(() => client.leave()) },
  { name: "drain", weight: 1, run: (client, rng) => client.send("chats.drain", { chat: chatName(rng.below(8)) }) },
];

const taskTypes = ["x", "y", "z"] as const;
/** With more open tasks no process submits any. */
const mostOpen = 60;

export function plainTask(rng: Rng): NewTask {
  const about = { type: "x", payload: { n: rng.below(1_000) }, priority: 5, capabilities: [], tags: [], dependsOn: [] };
  const times = { delayMs: 0, startToCloseMs: 600_000, heartbeatMs: 60_000 };
  const failures = { maxAttempts: 3, backoff: { baseMs: 2_000, capMs: 60_000, hasJitter: true } };
  return { ...about, ...times, ...failures, onDependencyDeath: "fail" };
}

function newTask(rng: Rng): NewTask {
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
    onDependencyDeath: rng.chance(0.3) ? "ignore" : "fail",
  };
}

function submit(client: Client, tasks: NewTask[]): void {
  if (client.world.oracle.tasks.countOpen > mostOpen) return;
  client.send("tasks.submit", { tasks, by: client.identity.chat });
}

function submitMany(client: Client, rng: Rng): void {
  const tasks = Array.from({ length: rng.between(2, 12) }, () => newTask(rng));
  submit(client, tasks);
}

/** Tasks that depend on earlier ones of the submit, or on known ones; some in a circle, which is refused. */
function submitGraph(client: Client, rng: Rng): void {
  const last = rng.between(1, 6);
  const known = client.world.oracle.tasks.some(rng);
  const isCircle = rng.chance(0.1);
  const tasks = Array.from({ length: last + 1 }, (_, index): NewTask => {
    const before = Array.from({ length: index }, (_task, other) => `t${other}`).filter(() => rng.chance(0.5));
    const others = known !== null && rng.chance(0.2) ? [known] : [];
    const circle = !isCircle ? [] : index === 0 ? [`t${last}`] : index === last ? ["t0"] : [];
    const dependsOn = [...new Set([...before, ...others, ...circle])];
    const parent = index > 0 && rng.chance(0.2) ? { parent: "t0" } : {};
    return { ...newTask(rng), ref: `t${index}`, dependsOn, ...parent };
  });
  submit(client, tasks);
}

function onSome(work: (task: number, client: Client) => void): Act["run"] {
  return (client, rng) => {
    const task = client.world.oracle.tasks.some(rng);
    if (task !== null) work(task, client);
  };
}

function ask(client: Client, rng: Rng): void {
  const [limit, isStarted] = [rng.pick([1, 1, 2, 5]), rng.chance(0.6)];
  client.working.ask({ limit, isStarted, ...(rng.chance(0.2) ? { types: [rng.pick(taskTypes)] } : {}) });
}

export const taskActs: readonly Act[] = [
  { name: "submit", weight: 9, run: (client, rng) => submit(client, [newTask(rng)]) },
  { name: "submit many", weight: 2, run: submitMany },
  { name: "submit a graph", weight: 3, run: submitGraph },
  { name: "ask for tasks", weight: 9, run: ask },
  { name: "call on an old claim", weight: 3, run: (client, rng) => client.run(() => client.working.callLate(rng)) },
  { name: "cancel", weight: 2, run: onSome((task, client) => client.send("tasks.cancel", { task, reason: "x" })) },
  { name: "read a task", weight: 5, run: onSome((task, client) => client.send("tasks.get", { task })) },
];

export const acts: readonly Act[] = [...leaseActs, ...stateActs, ...messageActs, ...chatActs, ...taskActs];

import type { TaskState } from "#src/contract/tasks.ts";
import type { Client } from "./client/client.ts";
import { plainTask } from "./client/acts.ts";
import { type KnownTask, isAble } from "./oracle/task-ledger.ts";
import type { Sim } from "./sim.ts";
import { calm } from "./faults.ts";
import type { World } from "./days.ts";

/** The night: faults end, and whatever happened before, nothing that is due may be forgotten. */

const stepMs = 5_000;
/** Longer than any wait, lease and grace together. */
const settlingMs = 600_000;
/** A watch over HTTP asks every few seconds, while keys expire. */
const mostBehindMs = 120_000;
/** The day for which an offline chat is kept, and the hours until the next housekeeping. */
const nightMs = 30 * 3_600_000;
/** By then all tasks of the day have ended, so no chat has a reason to ask. */
const quietMs = 150_000;
/** A lost token is sent again after five minutes; the sweep and the dispatch follow. */
const mostQueuedMs = 310_000;
/** Longer than any attempt, backoff and delay that is still to come. */
const mostWorkMs = 900_000;
/** A frame of the day may hold a socket up for 40 s. Then its client waits up to 30 s before it opens another. */
const mostAwayMs = 75_000;
const manyTasks = 40;

export async function comeToRest(world: World): Promise<void> {
  heal(world);
  const backBy = world.sim.now + mostAwayMs;
  await workOff(world);
  await giveBack(world);
  await checkChats(world, backBy);
  await checkWatches(world);
  await vanish(world);
  if (world.sim.rng.chance(0.4)) await sleep(world);
  world.oracle.check();
}

function heal(world: World): void {
  const { sweepLimit, queueLoss } = world.host.weather;
  world.host.weather = { ...calm, sweepLimit, queueLoss: Math.floor(queueLoss) };
  for (const machine of world.machines) machine.wake();
  for (const client of world.clients) {
    client.isPaused = false;
    client.isCut = false;
  }
  world.habits.isNight = true;
  for (const client of world.clients) client.goOn();
  world.host.alarm.reset();
  world.ask("chats.list", { limit: 1 });
}

async function runFor(world: World, ms: number): Promise<void> {
  const until = world.sim.now + ms;
  while (await world.sim.step(until)) if (world.sim.events % 1_000 === 0) world.oracle.check();
  world.sim.now = until;
}

/**
 * At first only chats with free capacity ask: a queued task that a connected chat takes must reach it through the
 * dispatch queue. Then all chats ask, until no chat can do what is left.
 */
async function workOff(world: World): Promise<void> {
  const { sim, clients, oracle } = world;
  const isBusy = (): boolean => [...clients].some(({ working }) => working.holds.size > 0);
  for (let passed = 0; passed < quietMs && isBusy(); passed += stepMs) await runFor(world, stepMs);
  submitAtNight(world);
  await waitForDispatch(world);
  const end = sim.now + mostWorkMs;
  while (sim.now < end && isWorkLeft(world)) {
    for (const { working } of clients) working.ask();
    await runFor(world, stepMs);
  }
  for (const known of oracle.tasks.tasks.values()) mustWaitForSomething(world, known);
}

function submitAtNight(world: World): void {
  const { rng } = world.sim;
  if (world.oracle.tasks.countOpen > 0 && rng.chance(0.5)) return;
  const tasks = Array.from({ length: rng.chance(0.3) ? manyTasks : rng.between(1, 3) }, () => plainTask(rng));
  world.askUntilAnswered("tasks.submit", { tasks, by: "night", requestId: `night ${world.sim.events}` });
}

async function waitForDispatch(world: World): Promise<void> {
  const { sim, oracle } = world;
  const since = new Map<number, number>();
  const end = sim.now + mostQueuedMs + stepMs;
  while (sim.now < end && oracle.tasks.countOpen > 0 && hasOpenChat(world)) {
    await runFor(world, stepMs);
    checkQueued(world, since);
  }
}

/** A task that an open chat could take may stay queued only for so long. */
function checkQueued(world: World, since: Map<number, number>): void {
  const { oracle } = world;
  const sim: Sim = world.sim;
  const open = openChats(world);
  for (const known of oracle.tasks.queued.values()) {
    if (!open.some((chat) => oracle.tasks.isOpen(chat, known))) {
      since.delete(known.task);
      continue;
    }
    const from = Math.max(since.get(known.task) ?? sim.hostNow, known.queuedAt);
    since.set(known.task, from);
    const isLate = sim.hostNow - from >= mostQueuedMs;
    if (isLate) sim.fail("due", `task ${known.task} is queued for ${sim.hostNow - from} ms for ${open.join(" ")}`);
  }
}

function openChats({ host, oracle: { tasks } }: World): string[] {
  const takers = [...tasks.workers.values()].filter(({ types }) => types !== null);
  const free = takers.filter(({ chat, capacity }) => tasks.countHeld(chat) < capacity).map(({ chat }) => chat);
  return free.filter((chat) => host.connections.lastSeen({ chat }) !== null);
}

function hasOpenChat(world: World): boolean {
  const { tasks } = world.oracle;
  if (tasks.queued.size === 0) return true;
  return openChats(world).some((chat) => [...tasks.queued.values()].some((known) => tasks.isOpen(chat, known)));
}

const isUnderWay = (state: TaskState): boolean => state === "assigned" || state === "running" || state === "scheduled";

function isWorkLeft(world: World): boolean {
  const all = [...world.oracle.tasks.tasks.values()];
  return all.some((known) => isUnderWay(known.state) || takersOf(world, known).length > 0);
}

function takersOf({ clients, oracle: { tasks } }: World, known: KnownTask): string[] {
  if (known.state !== "queued") return [];
  return [...clients].flatMap(({ identity: { chat }, isUp, isLeaving }) => {
    const worker = tasks.workers.get(chat);
    const isHere = isUp && !isLeaving && tasks.statusOf(chat) !== "draining";
    return worker && isHere && isAble(worker, known) ? [chat] : [];
  });
}

/** A task has ended, or waits for others, or no chat can do it. */
function mustWaitForSomething(world: World, known: KnownTask): void {
  const sim: Sim = world.sim;
  sim.must(!isUnderWay(known.state), "due", () => `task ${known.task} is ${known.state}, with ${known.held?.chat}`);
  const takers = takersOf(world, known);
  if (takers.length !== 0) sim.fail("due", `task ${known.task} is queued, though ${takers.join(" ")} could do it`);
  sim.count(`at night: ${known.state}`);
}

/** Every wait ends with a grant or a refusal. */
async function giveBack(world: World): Promise<void> {
  const { clients } = world;
  const sim: Sim = world.sim;
  const isBusy = (): boolean => [...clients].some(({ leasing, isLeaving }) => leasing.holdings.size > 0 && !isLeaving);
  for (let passed = 0; passed < settlingMs && (passed < 30_000 || isBusy()); passed += stepMs) {
    await runFor(world, stepMs);
    for (const { leasing, isUp } of clients) if (isUp) leasing.giveBackAll();
  }
  for (const { name, leasing } of clients) {
    const [left] = leasing.holdings.keys();
    sim.must(left === undefined, "due", () => `${name} still has or wants ${left}, though all leases were given back`);
  }
}

async function checkChats(world: World, backBy: number): Promise<void> {
  const { host, clients } = world;
  const sim: Sim = world.sim;
  const gone = (): Client[] =>
    [...clients].filter(
      ({ identity, isLeaving, isRefused }) => !isLeaving && !isRefused && host.statusOf(identity.chat) === "offline",
    );
  while (sim.now < backBy && gone().length > 0) await runFor(world, stepMs);
  for (const { name } of gone()) sim.fail("due", `${name} runs, and counts as gone`);
}

async function checkWatches(world: World): Promise<void> {
  const { oracle, sim } = world;
  const behind = (): Client[] =>
    [...world.clients].filter(
      ({ watching, isLeaving }) => !isLeaving && watching.isBehind(oracle.changes.newestBelow(watching.prefix)),
    );
  for (let passed = 0; passed < mostBehindMs && behind().length > 0; passed += stepMs) await runFor(world, stepMs);
  for (const { name, watching } of behind())
    sim.fail("watch", `the watch of ${name} below "${watching.prefix}" is still at revision ${watching.revision}`);
}

/** All machines vanish without a close or a request; their leases must expire. */
async function vanish(world: World): Promise<void> {
  for (const client of world.clients) world.kill(client, false);
  await runFor(world, settlingMs);
  for (const table of ["leases", "waiters", "lock_delays"]) mustBeEmpty(world, table);
}

/** Housekeeping deletes chats with their inboxes, tasks, expired keys and stored results. */
async function sleep(world: World): Promise<void> {
  for (const known of world.oracle.tasks.tasks.values()) {
    if (known.isEnded) continue;
    world.ask("tasks.cancel", { task: known.task, reason: "the end" });
    world.sim.must(known.isEnded, "due", () => `task ${known.task} was cancelled and is ${known.state}`);
  }
  await runFor(world, nightMs);
  world.access.mustBeOver();
  // A chat that held nothing has no due time; it counts as gone with the next request about it.
  mustBeEmpty(world, "chats", "dueAt IS NOT NULL OR status = 'offline'");
  mustBeEmpty(world, "inboxes", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "subscriptions", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "state", "expiresAt IS NOT NULL");
  const tables = "idempotency tasks task_texts attempts task_dependents task_dedupe task_usage outbox";
  for (const table of tables.split(" ")) mustBeEmpty(world, table);
}

function mustBeEmpty({ sim, host }: World, table: string, where = "true"): void {
  const rows = host.sql.peek(`SELECT * FROM ${table} WHERE ${where}`);
  if (rows.length > 0) sim.fail("due", `${table} still has ${rows.length} rows, such as ${JSON.stringify(rows[0])}`);
}

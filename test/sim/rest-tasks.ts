import type { TaskState } from "#src/contract/tasks.ts";
import type { Sim } from "./sim.ts";
import type { KnownTask } from "./oracle/task-known.ts";
import { isAble } from "./oracle/workers.ts";
import { plainTask } from "./client/task-acts.ts";
import type { World } from "./world.ts";

/** What must have become of tasks at the end of a day. */

/** A token that was lost in a storm is sent again after five minutes at the latest; then the sweep and the look. */
const mostQueuedMs = 310_000;
/** Longer than any attempt, backoff and delay that is still to come. */
const mostWorkMs = 900_000;
const stepMs = 5_000;
/** Until a look has been taken, and before anything is moved. */
const lookMs = 500;

/** By then what was under way has ended, and nobody has a reason to ask. */
const quietMs = 150_000;
/** More than all chats together have room for. */
const manyTasks = 40;

type Run = (ms: number) => Promise<void>;

/**
 * Faults have ended. At first nobody asks of his own accord but who has room again: what is queued, and somebody connected takes and has room
 * for, must come to him by way of the queue. Then all ask, until nothing is left that they can do.
 */
export async function workOff(world: World, run: Run): Promise<void> {
  for (let passed = 0; passed < quietMs && isAnybodyBusy(world); passed += stepMs) await run(stepMs);
  const isUnseen = world.sim.rng.chance(0.3);
  submitAtNight(world, isUnseen);
  if (isUnseen) await cancelUnseen(world, run);
  await waitForTheQueue(world, run);
  await askForMore(world, run);
  for (const known of world.oracle.tasks.tasks.values()) mustWaitForSomething(world, known);
}

async function waitForTheQueue(world: World, run: Run): Promise<void> {
  const since = new Map<number, number>();
  const end = world.sim.now + mostQueuedMs + stepMs;
  while (world.sim.now < end && world.oracle.tasks.countOpen > 0 && hasOpenSeat(world)) {
    await run(stepMs);
    lookAtQueued(world, since);
  }
}

async function askForMore(world: World, run: Run): Promise<void> {
  const end = world.sim.now + mostWorkMs;
  while (world.sim.now < end && isWorkLeft(world)) {
    for (const { working } of world.clients) working.ask();
    await run(stepMs);
  }
}

function isAnybodyBusy({ clients }: World): boolean {
  return [...clients].some(({ working }) => working.holds.size > 0);
}

/** For whoever is there: a few that must be brought to those who do nothing, or so many that all must ask for more. */
function submitAtNight(world: World, isMany: boolean): void {
  const { rng } = world.sim;
  if (world.oracle.tasks.countOpen > 0 && rng.chance(0.5) && !isMany) return;
  const size = isMany || rng.chance(0.3) ? manyTasks : rng.between(1, 3);
  const tasks = Array.from({ length: size }, () => plainTask(world.oracle.queue.newJob(true)));
  world.front.losesHints = isMany;
  const requestId = `night ${world.sim.events}`;
  while (!world.ask("tasks.submit", { tasks, by: "night", requestId }));
}

/** What was given is cancelled before its chats have heard of it: they have room again, and do not know. */
async function cancelUnseen(world: World, run: Run): Promise<void> {
  await run(lookMs);
  for (const { held, state, task } of world.oracle.tasks.tasks.values()) {
    if (state !== "assigned" || held?.requestId !== null) continue;
    world.ask("tasks.cancel", { task, reason: "not wanted" });
    world.sim.count("cancelled before it was seen");
  }
  await run(stepMs);
  world.front.losesHints = false;
}

/** Since when each is queued and could be given to somebody; for too long: nobody looks. */
function lookAtQueued(world: World, since: Map<number, number>): void {
  const { oracle } = world;
  const sim: Sim = world.sim;
  const open = seats(world);
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

/** Chats that live, are connected, and have room. */
function seats({ host, oracle: { tasks } }: World): string[] {
  const all = [...tasks.workers.all.values()].filter(
    ({ types, capacity, chat }) => types !== null && tasks.countHeld(chat) < capacity,
  );
  return all.map(({ chat }) => chat).filter((chat) => host.connections.lastSeen(chat) !== null);
}

function hasOpenSeat(world: World): boolean {
  const { queued } = world.oracle.tasks;
  return (
    queued.size === 0 ||
    seats(world).some((chat) => [...queued.values()].some((known) => world.oracle.tasks.isOpen(chat, known)))
  );
}

const isUnderWay = (state: TaskState): boolean => state === "assigned" || state === "running" || state === "scheduled";

function isWorkLeft(world: World): boolean {
  return [...world.oracle.tasks.tasks.values()].some(
    (known) => isUnderWay(known.state) || takersOf(world, known).length > 0,
  );
}

/** Chats that could have what is queued. */
function takersOf({ clients, oracle: { tasks } }: World, known: KnownTask): string[] {
  if (known.state !== "queued") return [];
  return [...clients].flatMap(({ identity: { chat }, isUp, isLeaving }) => {
    const worker = tasks.workers.all.get(chat);
    const isHere = isUp && !isLeaving && !tasks.workers.draining.has(chat);
    return worker && isHere && isAble(worker, known) ? [chat] : [];
  });
}

/** It has ended; or it waits for others that do, or nobody is there who can do it. */
function mustWaitForSomething(world: World, known: KnownTask): void {
  const sim: Sim = world.sim;
  sim.must(!isUnderWay(known.state), "due", () => `task ${known.task} is ${known.state}, with ${known.held?.chat}`);
  const takers = takersOf(world, known);
  if (takers.length !== 0) sim.fail("due", `task ${known.task} is queued, though ${takers.join(" ")} could do it`);
  sim.count(`at night: ${known.state}`);
}

/** Each task that somebody was told is accepted is known, or was kept for its time. */
export function accountForTasks(world: World): void {
  const { tasks } = world.oracle.tasks;
  world.oracle.queue.settle(
    (task) => {
      const reply = world.ask("tasks.get", { task });
      return reply?.ok ? (reply.value as { state: TaskState }).state : undefined;
    },
    (task) => !tasks.has(task),
  );
}

/** Nobody is there any more: what is left ends at once, and is not kept for longer than anything else. */
export function cancelTasks(world: World): void {
  for (const known of world.oracle.tasks.tasks.values()) {
    if (known.isEnded) continue;
    world.ask("tasks.cancel", { task: known.task, reason: "the end" });
    world.sim.must(known.isEnded, "due", () => `task ${known.task} was cancelled and is ${known.state}`);
  }
}

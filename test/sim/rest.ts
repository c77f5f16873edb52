import type { Json } from "#src/contract/json.ts";
import type { Client } from "./client/client.ts";
import type { Held } from "./oracle/lease-ledger.ts";
import type { Sim } from "./sim.ts";
import { calm } from "./weather.ts";
import { accountForTasks, cancelTasks, workOff } from "./rest-tasks.ts";
import type { World } from "./world.ts";

/** What must be over at the end, whatever happened before. */

/** Longer than any wait, lease and grace together. */
const settlingMs = 600_000;
/** A watch over HTTP asks every few seconds, and changes of keys that run out go on. */
const mostBehindMs = 120_000;
/** Beyond the day for which an offline chat is kept, and then to the next full hours of housekeeping. */
const nightMs = 30 * 3_600_000;

/** Faults end, everybody gives back what he has, then all go, and nothing that was due is forgotten. */
export async function comeToRest(world: World): Promise<void> {
  heal(world);
  await workOff(world, (ms) => runFor(world, ms));
  await giveBack(world);
  lookForChats(world);
  await lookAtCopies(world);
  await leaveWithoutAWord(world);
  accountForTasks(world);
  if (world.sim.rng.chance(0.4)) await sleep(world);
  world.oracle.full.run();
}

function heal(world: World): void {
  world.host.weather = { ...calm, sweepLimit: world.host.weather.sweepLimit };
  for (const machine of world.machines) if (machine.isSuspended) machine.wake();
  for (const client of world.clients) {
    client.isPaused = false;
    client.isCut = false;
  }
  world.habits.isNight = true;
  for (const client of world.clients) client.goOn();
  world.host.alarm.reset();
  // The watchdog looks at the next request.
  world.ask("chats.list", { limit: 1 });
}

async function runFor(world: World, ms: number): Promise<void> {
  const until = world.sim.now + ms;
  while (await world.sim.step(until)) if (world.sim.events % 1_000 === 0) world.oracle.full.run();
  world.sim.now = until;
}

/** Every wait ends with a grant or an answer. */
async function giveBack(world: World): Promise<void> {
  const { clients } = world;
  const sim: Sim = world.sim;
  for (let passed = 0; passed < settlingMs && (passed < 30_000 || isBusy(world)); passed += 5_000) {
    await runFor(world, 5_000);
    for (const { leasing, isUp } of clients) if (isUp) leasing.giveBackAll();
  }
  for (const { name, leasing } of clients) {
    const [left] = leasing.holdings.keys();
    sim.must(left === undefined, "due", () => `${name} still has or wants ${left}, and everybody has given back all`);
  }
  for (const lease of world.oracle.leases.leases.values()) lookForHolder(world, lease);
}

/** A lease is known to its holder, or it runs out: what the dead have held is looked at when all are. */
function lookForHolder(
  world: World,
  { resource, holder, incarnation, expiresAt, isBound, requestId, token }: Held,
): void {
  if (token <= world.leaseBeliefs.lostUpTo) return world.sim.count("known: a restored lease was given back before");
  const isOverdue = isBound === 0 && expiresAt <= world.sim.hostNow;
  const living = world.livingAs(holder, incarnation);
  const isLost = isBound === 1 && living !== undefined;
  if (!isOverdue && !isLost) return;
  if (isLost && living.leasing.givenUp.has(requestId)) {
    return world.sim.count("known: a copy of an old request was granted");
  }
  world.sim.fail("due", `${resource} is held by ${holder}, which does not know of it`);
}

function isBusy({ clients }: World): boolean {
  return [...clients].some(({ leasing, isLeaving }) => leasing.holdings.size > 0 && !isLeaving);
}

/** Who runs, and has not left, is registered by now. */
function lookForChats(world: World): void {
  const offline = "SELECT 1 FROM chats WHERE chat = ? AND status = 'offline'";
  for (const { identity, name, isLeaving } of world.clients) {
    const isGone = !isLeaving && world.host.sql.peek(offline, identity.chat).length > 0;
    if (isGone) world.sim.fail("due", `${name} runs, and counts as gone`);
  }
}

/** What watches were told adds up to what is there. */
async function lookAtCopies(world: World): Promise<void> {
  const { oracle, sim } = world;
  const behind = (): Client[] =>
    [...world.clients].filter(
      ({ copy, isLeaving }) => !isLeaving && copy.revision < oracle.changes.newestBelow(copy.prefix),
    );
  for (let passed = 0; passed < mostBehindMs && behind().length > 0; passed += 5_000) await runFor(world, 5_000);
  for (const { name, copy } of behind())
    sim.fail("watch", `the copy of ${name} below "${copy.prefix}" is still at revision ${copy.revision}`);
  const entries = [...oracle.state.keys].map(([key, { value, version }]) => {
    return { key, value: JSON.parse(value) as Json, version };
  });
  for (const { name, copy } of world.clients) {
    sim.count("copy compared");
    const key = copy.differs(entries, (one) => oracle.state.isOver(one));
    if (key !== null) sim.fail("watch", `the copy of ${name} below "${copy.prefix}" is wrong at ${key}`);
  }
}

/** All machines vanish: nobody closes a socket, nobody says a word. */
async function leaveWithoutAWord(world: World): Promise<void> {
  for (const client of world.clients) world.kill(client, false);
  await runFor(world, settlingMs);
  for (const table of ["leases", "waiters", "lock_delays"]) mustBeEmpty(world, table);
}

/** Housekeeping: chats go with their inboxes, keys and results with their times. */
async function sleep(world: World): Promise<void> {
  cancelTasks(world);
  await runFor(world, nightMs);
  mustBeEmpty(world, "idempotency");
  mustBeEmpty(world, "chats", "status = 'offline'");
  // Who held nothing is not watched, and is judged when somebody looks.
  mustBeEmpty(world, "chats", "dueAt IS NOT NULL");
  mustBeEmpty(world, "inboxes", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "subscriptions", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "state", "expiresAt IS NOT NULL");
  for (const table of ["tasks", "task_texts", "attempts", "task_dependents", "task_dedupe", "task_usage", "outbox"])
    mustBeEmpty(world, table);
}

function mustBeEmpty(world: World, table: string, where = "true"): void {
  const rows = world.host.sql.peek(`SELECT * FROM ${table} WHERE ${where}`);
  if (rows.length > 0) {
    world.sim.fail("due", `${table} still has ${rows.length} rows, such as ${JSON.stringify(rows[0])}`);
  }
}

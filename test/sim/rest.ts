import type { Json } from "../../src/contract/values.ts";
import type { Held } from "./oracle/lease-ledger.ts";
import { calm } from "./weather.ts";
import { accountForTasks, cancelTasks, workOff } from "./rest-tasks.ts";
import type { World } from "./world.ts";

/** What must be over at the end, whatever happened before. */

/** Longer than any wait, lease and grace together. */
const settlingMs = 600_000;
/** Beyond the day for which an offline chat is kept, and then to the next full hours of housekeeping. */
const nightMs = 30 * 3_600_000;

/** [SM9] Faults end, everybody gives back what he has, then all go, and nothing that was due is forgotten. */
export function comeToRest(world: World): void {
  heal(world);
  workOff(world, (ms) => runFor(world, ms));
  giveBack(world);
  lookAtCopies(world);
  leaveWithoutAWord(world);
  accountForTasks(world);
  if (world.sim.rng.chance(0.4)) sleep(world);
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

function runFor(world: World, ms: number): void {
  const until = world.sim.now + ms;
  while (world.sim.step(until)) if (world.sim.events % 1_000 === 0) world.oracle.full.run();
  world.sim.now = until;
}

/** Every wait ends with a grant or an answer. */
function giveBack(world: World): void {
  const { sim, clients } = world;
  for (let passed = 0; passed < settlingMs && (passed < 30_000 || isBusy(world)); passed += 5_000) {
    runFor(world, 5_000);
    for (const { leasing, link } of clients) if (link.isRegistered) leasing.giveBackAll();
  }
  for (const { name, leasing } of clients) {
    const [left] = leasing.holdings.values();
    if (left)
      sim.fail("due", `${name} is still ${left.state} for ${left.resource}, and everybody has given back what he had`);
  }
  for (const lease of world.oracle.leases.leases.values()) lookForHolder(world, lease);
}

/** A lease is known to its holder, or it runs out: what the dead have held is looked at when all are. */
function lookForHolder(
  world: World,
  { resource, holder, incarnation, expiresAt, isBound, requestId, token }: Held,
): void {
  if (token <= world.trust.lostUpTo) return world.sim.count("known: a restored lease was given back before");
  const isOverdue = !isBound && expiresAt <= world.sim.hostNow;
  const living = world.livingAs(holder, incarnation);
  const isLost = isBound && living !== undefined;
  if (!isOverdue && !isLost) return;
  if (isLost && living.leasing.givenUp.has(requestId)) {
    return world.sim.count("known: a copy of an old wish was granted");
  }
  world.sim.fail("due", `${resource} is held by ${holder}, which does not know of it`);
}

function isBusy({ clients }: World): boolean {
  return [...clients].some(({ leasing, isLeaving }) => leasing.holdings.size > 0 && !isLeaving);
}

/** [SM5] What watches were told adds up to what is there. */
function lookAtCopies(world: World): void {
  const { oracle, sim } = world;
  for (const { watch } of world.clients) watch.pull(500);
  runFor(world, 10_000);
  const entries = [...oracle.state.keys].map(([key, { value, version }]) => {
    return { key, value: JSON.parse(value) as Json, version, ageMs: 0, ttlMs: null };
  });
  for (const { name, watch } of world.clients) {
    if (watch.revision !== oracle.changes.newest) continue;
    sim.count("copy compared");
    const key = watch.differs(entries, (one) => oracle.state.isOver(one));
    if (key !== null) sim.fail("watch", `the copy of ${name} below "${watch.prefix}" is wrong at ${key}`);
  }
}

/** All machines vanish: nobody closes a socket, nobody says a word. */
function leaveWithoutAWord(world: World): void {
  for (const client of world.clients) world.kill(client, false);
  runFor(world, settlingMs);
  for (const table of ["leases", "waiters", "lock_delays"]) mustBeEmpty(world, table);
}

/** Housekeeping: chats go with their inboxes, keys and results with their times. */
function sleep(world: World): void {
  cancelTasks(world);
  runFor(world, nightMs);
  mustBeEmpty(world, "idempotency");
  mustBeEmpty(world, "chats", "status = 'offline'");
  // [CH6] Who held nothing is not watched, and is judged when somebody looks.
  mustBeEmpty(world, "chats", "due_at IS NOT NULL");
  mustBeEmpty(world, "inboxes", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "subscriptions", "chat NOT IN (SELECT chat FROM chats)");
  mustBeEmpty(world, "state", "expires_at IS NOT NULL");
  for (const table of ["tasks", "task_texts", "attempts", "task_dependents", "task_dedupe", "task_usage", "outbox"])
    mustBeEmpty(world, table);
}

function mustBeEmpty(world: World, table: string, where = "true"): void {
  const rows = world.host.sql.peek(`SELECT * FROM ${table} WHERE ${where}`);
  if (rows.length > 0) {
    world.sim.fail("due", `${table} still has ${rows.length} rows, such as ${JSON.stringify(rows[0])}`);
  }
}

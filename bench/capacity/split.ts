/** One workspace split by project into several objects: how much more they do, and what it costs. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { placeLargestFirst } from "../engine/placement.ts";
import { folderOnDisk } from "../own-processes.ts";
import { ms, perSecond, range, ratio, type Row } from "../figures.ts";
import { Random } from "../restore/random.ts";
import { scaled } from "../size.ts";
import { memoryRow } from "./memory.ts";
import type { Move } from "./move-project.ts";
import { SplitWorkspace } from "./split-workspace.ts";
import { aSplitWorld, drawAct, type SplitWorld } from "./split-world.ts";

const chatCount = scaled(50_000, 250);
const taskCount = scaled(1_000_000, 2_000);
const actCount = scaled(30_000, 400);
/** Acts that each split does before the next one does the same. */
const perTurn = scaled(1_000, 20);
const rebalances = 10;
/** Exponents of Zipf's law, and into how many objects each world is split. */
const worlds = [
  { exponent: 1, counts: [1, 2, 5, 10] },
  { exponent: 1.2, counts: [1, 10] },
] as const;

export async function split(seed: number): Promise<Row[]> {
  const rows = [memoryRow()];
  warmUp(seed);
  for (const { exponent, counts } of worlds) {
    console.error(`Zipf ${exponent}: filling ${counts.join(", ")} objects ...`);
    const world = aSplitWorld(chatCount, exponent, seed);
    const splits = counts.map((count) => opened(world, count, taskCount));
    console.error("working ...");
    perform(world, splits, seed, actCount);
    for (const each of splits) rows.push(...rowsOf(each, splits[0] ?? each, exponent));
    const two = splits.find(({ objects }) => objects.length === 2);
    if (two) rows.push(largestMoved(two));
    for (const each of splits) each.close();
  }
  return rows;
}

/** The engine's code is compiled before anything counts. */
function warmUp(seed: number): void {
  const world = aSplitWorld(250, 1, seed);
  const splits = [1, 2].map((count) => opened(world, count, 2_000));
  perform(world, splits, seed, 1_000);
  for (const each of splits) each.close();
}

function opened(world: SplitWorld, count: number, tasks: number): SplitWorkspace {
  const folder = join(folderOnDisk("split"), String(count));
  mkdirSync(folder);
  return new SplitWorkspace({ world, folder, placed: placeLargestFirst(world.sizes, count), count, tasks });
}

/**
 * All splits take turns with the same acts, object by object: one processor that goes from one to another with each act would read
 * each one's code and pages from memory, which objects with processors of their own do not.
 */
function perform(world: SplitWorld, splits: readonly SplitWorkspace[], seed: number, count: number): void {
  const random = new Random(seed);
  const perRebalance = Math.ceil(count / (rebalances + 1) / perTurn) * perTurn;
  for (let from = 0; from < count; from += perTurn) {
    const acts = range(Math.min(perTurn, count - from), () => drawAct(world, random));
    const first = (from / perTurn) % splits.length;
    for (const each of [...splits.slice(first), ...splits.slice(0, first)]) each.performAll(acts, from);
    if (from > 0 && from % perRebalance === 0) for (const each of splits) each.rebalance();
  }
  for (const each of splits) each.check();
}

function rowsOf(split: SplitWorkspace, one: SplitWorkspace, exponent: number): Row[] {
  const group = `Zipf ${exponent}, split in ${split.objects.length}`;
  const { objects, directory, counts, moves } = split;
  const busy = objects.map((object) => object.busy);
  const busiest = Math.max(...busy);
  const total = busy.reduce((sum, each) => sum + each, 0);
  const events = objects.reduce((sum, object) => sum + object.events, 0);
  const makespan = Math.max(busiest, directory.busy);
  const base = Math.max(...one.objects.map((object) => object.busy));
  const lookups = directory.lookups.length;
  const bytes = objects.map((object) => object.bytes());
  const size = `${chatCount.toLocaleString("en")} chats, ${taskCount.toLocaleString("en")} tasks`;
  const rows: Row[] = [
    {
      group,
      n: actCount,
      name: `speedup against one object, ${size}`,
      figure: `${ratio(base / makespan)} of ${objects.length}`,
      against: `busiest ${ms(busiest)}, ${ratio((busiest * objects.length) / total)} the mean; ${events.toLocaleString("en")} events, ${ms(total)} in all, ${ratio(total / base)} of one object; ${perSecond((1_000 * events) / makespan)}`,
    },
    {
      group,
      n: lookups,
      name: "directory, asked once a session",
      figure: `${ms(directory.busy)}, ${((1_000 * directory.busy) / lookups).toFixed(1)} µs a lookup`,
      against: `${perSecond((1_000 * lookups) / directory.busy)}; as busy as the mean object at ${Math.round(total / directory.busy).toLocaleString("en")} objects`,
    },
    {
      group,
      n: bytes.length,
      name: "storage of the largest object",
      figure: `${(Math.max(...bytes) / 1e6).toFixed(0)} MB`,
      against: `${(bytes.reduce((sum, each) => sum + each, 0) / 1e6).toFixed(0)} MB in all`,
    },
  ];
  if (objects.length === 1) return rows;
  return [
    ...rows,
    {
      group,
      n: actCount,
      name: "acts that need two objects",
      figure: `${((100 * (counts.message + counts.heartbeat)) / actCount).toFixed(2)} %`,
      against: `${counts.message.toLocaleString("en")} messages, ${counts.heartbeat.toLocaleString("en")} heartbeats of chats in two; ${counts.guests.toLocaleString("en")} registrations in a further object`,
    },
    ...(moves.length === 0 ? [] : [movesRow(group, moves, counts.stale)]),
  ];
}

function movesRow(group: string, moves: readonly Move[], stale: number): Row {
  const tasks = moves.reduce((sum, move) => sum + move.tasks, 0);
  const busy = moves.reduce((sum, move) => sum + move.busy, 0);
  return {
    group,
    n: moves.length,
    name: "projects moved by load",
    figure: `${tasks.toLocaleString("en")} tasks in ${ms(busy)}`,
    against: `the longest ${ms(Math.max(...moves.map((move) => move.busy)))}; ${stale.toLocaleString("en")} stale entries answered by "moved"`,
  };
}

/** What the largest project costs, after all else. */
function largestMoved(split: SplitWorkspace): Row {
  const { tasks, busy } = split.moveTo(0, 1 - split.homeOf(0));
  split.check();
  return {
    group: "move",
    n: tasks,
    name: "the largest project from one of two objects to the other",
    figure: `${ms(busy)} of the processor, in which it is frozen`,
    against: `${tasks.toLocaleString("en")} tasks, ${((1_000 * busy) / tasks).toFixed(0)} µs each`,
  };
}

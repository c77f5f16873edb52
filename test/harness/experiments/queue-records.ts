import { seededRandom } from "#harness/clock/fake-time.ts";
import type { QueueChat, QueueRecord, QueueSilence, QueueTask } from "#src/experiments/queue/run-queue.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { inMemory } from "#src/store/driver.ts";
import type { Sql } from "#src/shared/sql.ts";

/** An empty database in memory; gone with its last reference. */
export function openMemory(): Sql {
  return openBetterSqlite3({ path: inMemory, readOnly: false, busyMs: 0 });
}

export interface Workload {
  readonly tasks: number;
  readonly meanRunMs: number;
  readonly chats: number;
  readonly capacity?: number;
  /** Share of the capacity that the tasks need. */
  readonly load: number;
  /** Mean time between two silences of a chat, and how long each is. */
  readonly silences?: { readonly everyMs: number; readonly forMs: number };
  /** Mean life of a chat; after each death another comes a second later. */
  readonly lifeMs?: number;
  readonly seed: number;
}

/** Arrivals, running times, silences and deaths by chance, each without memory. */
export function aRecord(workload: Workload): QueueRecord {
  const { tasks: count, meanRunMs, chats, capacity = 1, load, seed } = workload;
  const random = seededRandom(seed);
  const draw: Draw = (meanMs) => Math.max(1, Math.round(-meanMs * Math.log(1 - random())));
  let windowMs = 0;
  const tasks = Array.from({ length: count }, () => {
    windowMs += draw(meanRunMs / (chats * capacity * load));
    return aTask({ atMs: windowMs, runMs: draw(meanRunMs) });
  });
  const lives = Array.from({ length: chats }, () => livesOf(workload, windowMs, draw));
  return { windowMs, tasks, chats: lives.flat() };
}

type Draw = (meanMs: number) => number;

function livesOf({ capacity = 1, silences, lifeMs }: Workload, windowMs: number, draw: Draw): QueueChat[] {
  const lives: QueueChat[] = [];
  for (let fromMs = 0; fromMs < windowMs;) {
    const untilMs = lifeMs === undefined ? null : fromMs + draw(lifeMs);
    const end = untilMs ?? windowMs;
    const spells = silences ? silencesOf(silences, { from: fromMs, end }, draw) : [];
    lives.push(aChat({ capacity, fromMs, untilMs, end: "died", silences: spells }));
    fromMs = end + 1_000;
  }
  return lives;
}

function silencesOf(
  { everyMs, forMs }: NonNullable<Workload["silences"]>,
  life: { readonly from: number; readonly end: number },
  draw: Draw,
): QueueSilence[] {
  const silences: QueueSilence[] = [];
  for (let atMs = life.from + draw(everyMs); atMs + forMs < life.end; atMs += forMs + draw(everyMs)) {
    silences.push({ atMs, forMs });
  }
  return silences;
}

export function aTask(task: Partial<QueueTask>): QueueTask {
  return { type: "build", atMs: 0, runMs: 1_000, priority: 5, failures: 0, ...task };
}

export function aChat(chat: Partial<QueueChat>): QueueChat {
  return { capacity: 1, types: null, fromMs: 0, untilMs: null, end: "left", silences: [], ...chat };
}

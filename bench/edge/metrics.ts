/** What a scrape costs the object: its time, and the rows that it reads. */
import { ms, range, sample, timed, type Row } from "../figures.ts";
import { freshRig, newTasks, submitAll } from "../tasks/fresh-rig.ts";
import { perSubmit } from "../tasks/sizes.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "../tasks/task-worker.ts";
import type { EdgeRig } from "./edge-rig.ts";
import type { WireClient } from "./wire-client.ts";

const chats = scaled(1_000, 50);
const tasks = scaled(100_000, 1_000);
/** As many entries as the audit log keeps. */
const auditEntries = scaled(20_000, 200);
const rounds = scaled(15);
const maxMs = 50;
/** The object keeps its samples for ten seconds. */
const keepMs = 10_000;

export async function metricsCost(): Promise<Row[]> {
  const rig = await freshRig(true);
  await rig.set({ maxConcurrentChats: 10_000, maxLeasesPerChat: 2 * auditEntries });
  const client = await rig.client("scraper");
  const rows = [await measured(client, "of an empty workspace")];
  await fill(rig, client);
  rows.push(await measured(client, `with ${count(chats)} chats, ${count(tasks)} queued tasks, a full audit log`));
  const worker = new TaskWorker(await rig.client("worker", { capacity: 50 }), 50);
  for (let done = 0; done < tasks / 2; done += 50) await worker.ack(await worker.claim(), false);
  rows.push(await measured(client, "the same, half of the tasks done"));
  for (const one of [client, worker.client]) one.close();
  await rig.close();
  return [...rows, await blockedCost(tasks), await blockedCost(tasks / 8)];
}

interface Submitted {
  readonly tasks: readonly { readonly task: number }[];
}

/** A blocked task has two index entries beside its row, as has no other open one. */
async function blockedCost(blockedTasks: number): Promise<Row> {
  const rig = await freshRig(true);
  const client = await rig.client("scraper");
  for (let left = blockedTasks; left > 0; left -= perSubmit) {
    const first = (await client.call("tasks.submit", { tasks: [{ type: "first", delayMs: 86_400_000 }] })) as Submitted;
    const dependsOn = first.tasks.map(({ task }) => task);
    const blocked = newTasks("task", Math.min(perSubmit, left)).map((task) => Object.assign(task, { dependsOn }));
    await client.call("tasks.submit", { tasks: blocked });
  }
  await submitAll(client, "task", tasks - blockedTasks);
  const row = await measured(
    client,
    `with ${count(blockedTasks)} blocked and ${count(tasks - blockedTasks)} queued tasks`,
  );
  client.close();
  await rig.close();
  return row;
}

async function fill(rig: EdgeRig, client: WireClient): Promise<void> {
  for (let there = 0; there < chats; there += 50) await Promise.all(range(50, (n) => rig.register(`c${there + n}`)));
  await submitAll(client, "task", tasks);
  const { self } = client;
  for (let there = 0; there < auditEntries; there += 100) {
    const leases = range(100, (n) => ({ self, resource: `l/${there + n}`, requestId: "r", ttlMs: 3_600_000 }));
    await client.batch(leases.map((params) => ({ method: "leases.acquire", params })));
  }
}

/** The same way without the work: an empty frame is answered by the object, too. */
async function measured(client: WireClient, name: string): Promise<Row> {
  const [scrapes, empty]: [number[], number[]] = [[], []];
  let rowsRead = 0;
  for (let round = 0; round < rounds; round++) {
    await client.raw(`later ${keepMs}`);
    await client.counted();
    scrapes.push(await timed(() => client.call("metrics", {})));
    rowsRead = (await client.counted()).read;
    empty.push(await timed(() => client.raw("empty")));
  }
  const [scrape, frame] = [sample(scrapes).p50, sample(empty).p50];
  return {
    group: "metrics",
    n: scrapes.length,
    name: `object time ${name}, p50`,
    figure: ms(scrape - frame),
    against: `${count(rowsRead)} rows read; an empty frame ${ms(frame)}`,
    goal: `at most ${maxMs} ms`,
    isReached: scrape - frame <= maxMs,
  };
}

function count(value: number): string {
  return value.toLocaleString("en");
}

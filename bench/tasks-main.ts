/** `npm run bench:tasks`: tasks beside BullMQ on Redis in the same run. Prints a table and writes bench/results-tasks.json. */
import { writeFileSync } from "node:fs";
import { ownRedis } from "./edge/redis.ts";
import { table, type Row } from "./figures.ts";
import { backlog } from "./tasks/backlog.ts";
import { cost } from "./tasks/cost.ts";
import { latency } from "./tasks/latency.ts";
import { submitting } from "./tasks/submit.ts";
import { working } from "./tasks/work.ts";

const wanted = process.argv.slice(2);
const rows: Row[] = [];

async function part(name: string, run: () => Promise<Row[]>): Promise<void> {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  console.error(`measuring ${name} ...`);
  rows.push(...(await run()));
}

const peers = { always: await ownRedis("always"), everysec: await ownRedis("everysec") };
try {
  await part("submit", () => submitting(peers));
  await part("work", () => working(peers));
  await part("latency", () => latency(peers));
} finally {
  await Promise.all([peers.always.close(), peers.everysec.close()]);
}
await part("backlog", backlog);
await part("cost", cost);
console.log(`node ${process.version}, ${new Date().toISOString().slice(0, 10)}\n\n${table(rows)}`);
writeFileSync("bench/results-tasks.json", `${JSON.stringify({ at: new Date().toISOString(), rows }, null, 2)}\n`);

/** `npm run bench:edge`: the coordinator under workerd beside a Redis of the same run. Prints a table and writes bench/results-edge.json. */
import { writeFileSync } from "node:fs";
import { batched } from "./edge/batched.ts";
import { Desk } from "./edge/desk.ts";
import { detection } from "./edge/detection.ts";
import { growth, rowCounts } from "./edge/growth.ts";
import { messageLatency } from "./edge/messages.ts";
import { oneAtATime } from "./edge/one-at-a-time.ts";
import { ownRedis } from "./edge/redis.ts";
import { table, type Row } from "./figures.ts";

const wanted = process.argv.slice(2);
const rows: Row[] = [];

async function part(name: string, run: () => Promise<Row[]>): Promise<void> {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  console.error(`measuring ${name} ...`);
  rows.push(...(await run()));
}

const desk = await Desk.open(false);
const [redis, rare] = [await ownRedis("always"), await ownRedis("everysec")];
try {
  await desk.set({ maxConcurrentChats: 1_000 });
  await part("one", () => oneAtATime(desk, redis, rare));
  await part("batched", () => batched(desk, redis));
  await part("messages", () => messageLatency(desk, redis));
} finally {
  await Promise.all([desk.close(), redis.close(), rare.close()]);
}
await part("growth", growth);
await part("rows", rowCounts);
await part("detection", detection);
console.log(`node ${process.version}, ${new Date().toISOString().slice(0, 10)}\n\n${table(rows)}`);
writeFileSync("bench/results-edge.json", `${JSON.stringify({ at: new Date().toISOString(), rows }, null, 2)}\n`);

/** `npm run bench -- edge`: the coordinator under workerd beside a Redis of the same run. Prints a table and writes bench/results-edge.json. */
import { batched } from "./edge/batched.ts";
import { EdgeRig } from "./edge/edge-rig.ts";
import { capacity } from "./edge/capacity.ts";
import { detection } from "./edge/detection.ts";
import { growth, rowCounts, socketGrowth } from "./edge/growth.ts";
import { messageLatency } from "./edge/messages.ts";
import { metricsCost } from "./edge/metrics.ts";
import { oneAtATime } from "./edge/one-at-a-time.ts";
import { ownRedis } from "./edge/redis.ts";
import { Parts } from "./parts.ts";

const parts = new Parts();

const rig = await EdgeRig.open(false);
const [redis, rare] = [await ownRedis("always"), await ownRedis("everysec")];
try {
  await rig.set({ maxConcurrentChats: 1_000 });
  await parts.run("one", () => oneAtATime(rig, redis, rare));
  await parts.run("batched", () => batched(rig, redis));
  await parts.run("messages", () => messageLatency(rig, redis));
} finally {
  await Promise.all([rig.close(), redis.close(), rare.close()]);
}
await parts.run("growth", growth);
await parts.run("sockets", socketGrowth);
await parts.run("rows", rowCounts);
await parts.run("metrics", metricsCost);
await parts.run("detection", detection);
await parts.run("capacity", capacity);
parts.report("bench/results-edge.json");

/** `npm run bench -- tasks`: tasks beside BullMQ on Redis in the same run. Prints a table and writes bench/results-tasks.json. */
import { ownRedis } from "./edge/redis.ts";
import { Parts } from "./parts.ts";
import { backlog } from "./tasks/backlog.ts";
import { connected } from "./tasks/connected.ts";
import { cost } from "./tasks/cost.ts";
import { latency } from "./tasks/latency.ts";
import { submitting } from "./tasks/submit.ts";
import { working } from "./tasks/work.ts";

const parts = new Parts();

const peers = { always: await ownRedis("always"), everysec: await ownRedis("everysec") };
try {
  await parts.run("submit", () => submitting(peers));
  await parts.run("work", () => working(peers));
  await parts.run("latency", () => latency(peers));
} finally {
  await Promise.all([peers.always.close(), peers.everysec.close()]);
}
await parts.run("backlog", backlog);
await parts.run("connected", connected);
await parts.run("cost", cost);
parts.report("bench/results-tasks.json");

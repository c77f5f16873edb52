/** `npm run bench -- tasks`: tasks beside BullMQ on Redis in the same run. Prints a table and writes bench/results-tasks.json. */
import { besideRedis } from "./edge/redis.ts";
import { measureParts } from "./parts.ts";
import { backlog } from "./tasks/backlog.ts";
import { connected } from "./tasks/connected.ts";
import { cost } from "./tasks/cost.ts";
import { latency } from "./tasks/latency.ts";
import { submitting } from "./tasks/submit.ts";
import { working } from "./tasks/work.ts";

const parts = {
  submit: () => besideRedis(submitting),
  work: () => besideRedis(working),
  latency: () => besideRedis(latency),
  backlog,
  connected,
  cost,
};
await measureParts("bench/results-tasks.json", parts, process.argv.slice(2));

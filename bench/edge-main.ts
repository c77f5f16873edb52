/** `npm run bench -- edge`: the coordinator under workerd beside a Redis of the same run. Prints a table and writes bench/results-edge.json. */
import { batched } from "./edge/batched.ts";
import { EdgeRig } from "./edge/edge-rig.ts";
import { capacity } from "./edge/capacity.ts";
import { detection } from "./edge/detection.ts";
import { growth, rowCounts, socketGrowth } from "./edge/growth.ts";
import { messageLatency } from "./edge/messages.ts";
import { metricsCost } from "./edge/metrics.ts";
import { oneAtATime } from "./edge/one-at-a-time.ts";
import { besideRedis, type Peers } from "./edge/redis.ts";
import type { Row } from "./figures.ts";
import { measureParts } from "./parts.ts";

/** A coordinator of its own for each part, and both kinds of Redis. */
function beside(measure: (rig: EdgeRig, peers: Peers) => Promise<Row[]>): () => Promise<Row[]> {
  return () =>
    besideRedis(async (peers) => {
      const rig = await EdgeRig.open(false);
      try {
        await rig.set({ maxConcurrentChats: 1_000 });
        return await measure(rig, peers);
      } finally {
        await rig.close();
      }
    });
}

const parts = {
  one: beside(oneAtATime),
  batched: beside(batched),
  messages: beside(messageLatency),
  growth,
  sockets: socketGrowth,
  rows: rowCounts,
  metrics: metricsCost,
  detection,
  capacity,
};
await measureParts("bench/results-edge.json", parts, process.argv.slice(2));

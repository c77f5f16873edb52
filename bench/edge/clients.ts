import Redlock from "redlock";
import { range, sample, scaled, timed } from "../measure.ts";
import type { EdgeRig } from "./edge-rig.ts";
import { besideRedis, type OwnRedis } from "./redis.ts";
import { freshRig } from "./edge-rig.ts";

/** One operation after the other, with one and with fifty clients at once, beside a Redis of the same durability; all in turn. p50 in ms. */
export function clients() {
  return besideRedis(async (redis) => {
    const rig = await freshRig();
    try {
      return { one: await measured(rig, redis, 1, scaled(400)), fifty: await measured(rig, redis, 50, scaled(24)) };
    } finally {
      await rig.close();
    }
  });
}

async function measured(rig: EdgeRig, redis: OwnRedis, count: number, rounds: number) {
  const all = await Promise.all(range(count, (n) => clientOf(rig, redis, count, n)));
  const subjects = ["empty", "row", "heartbeat", "redisHeartbeat", "lease", "redlock", "state", "hset"] as const;
  const times = Object.fromEntries(subjects.map((name) => [name, [] as number[]]));
  const warmUp = Math.ceil(rounds / 10);
  for (let round = -warmUp; round < rounds; round++)
    for (const name of subjects) {
      const took = await Promise.all(all.map((one) => timed(() => one[name](round))));
      if (round >= 0) times[name]?.push(...took);
    }
  for (const { close } of all) close();
  return Object.fromEntries(subjects.map((name) => [name, sample(times[name]).p50])) as Record<
    (typeof subjects)[number],
    number
  >;
}

/** A client of both sides. */
async function clientOf(rig: EdgeRig, peer: OwnRedis, count: number, n: number) {
  const wire = await rig.client(`c${count}-${n}`);
  const redis = peer.connect();
  const locks = new Redlock([redis], { retryCount: 0 });
  const { self } = wire;
  const [resource, key] = [`lock-${count}-${n}`, `k-${count}-${n}`];
  return {
    empty: () => wire.raw("empty"),
    row: () => wire.raw("row"),
    heartbeat: (round: number) => wire.call("chats.heartbeat", { self, progress: `round ${round}` }),
    redisHeartbeat: (round: number) =>
      redis
        .multi()
        .hset(`chat:${key}`, { progress: `round ${round}` })
        .expire(`chat:${key}`, 30)
        .exec(),
    lease: async (round: number) => {
      const asked = { self, resource, requestId: `r${round}` };
      const { lease } = await wire.call<{ lease: { token: number } }>("leases.acquire", asked);
      return wire.call("leases.release", { self, resource, token: lease.token });
    },
    redlock: async () => (await locks.lock(resource, 60_000)).unlock(),
    state: (round: number) => wire.call("state.set", { key, value: { round } }),
    hset: (round: number) => redis.multi().hset(key, { round }).publish("changes", key).exec(),
    close: () => {
      wire.close();
      redis.disconnect();
    },
  };
}

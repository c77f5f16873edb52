/** Frames of 100 operations, each one commit, against pipelines of 100 commands with the same durability. */
import type { Redis } from "ioredis";
import { perSecond, type Row, range } from "../figures.ts";
import { scaled } from "../size.ts";
import type { EdgeRig } from "./edge-rig.ts";
import type { WireClient } from "./wire-client.ts";
import type { Peers } from "./redis.ts";

const perFrame = 100;
const frames = scaled(60);

export async function batched(rig: EdgeRig, { always: redis }: Peers): Promise<Row[]> {
  const client = await rig.client("batcher");
  const peer = redis.connect();
  const spent: Record<string, number> = {};
  const keep = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const startedAt = performance.now();
    await work();
    spent[name] = (spent[name] ?? 0) + performance.now() - startedAt;
  };
  for (let frame = 0; frame < frames; frame++) {
    const tokens: number[] = [];
    await keep("acquire", async () => tokens.push(...(await acquire(client, frame))));
    await keep("release", () => release(client, tokens));
    await keep("state", () =>
      client.batch(range(perFrame, (n) => ({ method: "state.set", params: { key: `b${n}`, value: frame } }))),
    );
    await keep("bare", () =>
      client.raw(`bare ${JSON.stringify(range(perFrame, (id) => ({ id, params: { key: `b${id}` } })))}`),
    );
    await keep("redis acquire", () => pipelined(peer, (pipe, n) => pipe.set(`b${n}`, "me", "PX", 60_000, "NX")));
    await keep("redis release", () => pipelined(peer, (pipe, n) => pipe.del(`b${n}`)));
    await keep("redis token acquire", () => scripted(peer, acquireScript, (n) => [`t${n}`, "me", 60_000]));
    await keep("redis token release", () => scripted(peer, releaseScript, (n) => [`t${n}`, "me"]));
    await keep("redis state", () =>
      pipelined(peer, (pipe, n) => pipe.hset(`s${n}`, { frame }).publish("changes", `s${n}`)),
    );
  }
  client.close();
  peer.disconnect();
  const rate = (...names: string[]): number =>
    (names.length * frames * perFrame * 1_000) / names.reduce((sum, name) => sum + (spent[name] ?? 0), 0);
  const bare = rate("bare");
  const scripts = rate("redis token acquire", "redis token release");
  const row = (name: string, ours: number, theirs: number): Row => ({
    group: "batched",
    n: frames,
    name,
    figure: perSecond(ours),
    against: `Redis, pipelines of ${perFrame}: ${perSecond(theirs)}: ${(ours / theirs).toFixed(2)} x; ${(ours / bare).toFixed(2)} x bare rows`,
    goal: "at least 0.5 x",
    isReached: ours / theirs >= 0.5,
  });
  return [
    {
      group: "batched",
      n: frames,
      name: `bare durable rows, frames of ${perFrame}: the runtime's limit`,
      figure: perSecond(bare),
    },
    row(
      `lease acquire and release, frames of ${perFrame}`,
      rate("acquire", "release"),
      rate("redis acquire", "redis release"),
    ),
    {
      group: "batched",
      n: frames,
      name: "the same leases against Redis scripts with a growing token and an owner's check",
      figure: perSecond(rate("acquire", "release")),
      against: `${perSecond(scripts)}: ${(rate("acquire", "release") / scripts).toFixed(2)} x`,
    },
    row(`state write and notify, frames of ${perFrame}`, rate("state"), rate("redis state")),
  ];
}

async function acquire(client: WireClient, frame: number): Promise<number[]> {
  const { self } = client;
  const answers = await client.batch(
    range(perFrame, (n) => ({ method: "leases.acquire", params: { self, resource: `b${n}`, requestId: `r${frame}` } })),
  );
  return answers.map((answer) => (answer as { lease: { token: number } }).lease.token);
}

function release(client: WireClient, tokens: readonly number[]): Promise<unknown> {
  const { self } = client;
  return client.batch(
    tokens.map((token, n) => ({ method: "leases.release", params: { self, resource: `b${n}`, token } })),
  );
}

/** What a lease has and a bare key has not: a token that grows, and a release by its owner only. */
const acquireScript =
  "if redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return redis.call('incr', 'token') end return 0";
const releaseScript = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

function scripted(peer: Redis, script: string, values: (n: number) => [string, ...(string | number)[]]): Promise<void> {
  return pipelined(peer, (pipe, n) => pipe.eval(script, 1, ...values(n)));
}

async function pipelined(peer: Redis, add: (pipe: ReturnType<Redis["pipeline"]>, n: number) => unknown): Promise<void> {
  const pipe = peer.pipeline();
  for (let n = 0; n < perFrame; n++) add(pipe, n);
  await pipe.exec();
}

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import Redlock from "redlock";
import { madeWorkspace } from "../../scripts/local-edge.ts";
import { bundle, LocalRuntime } from "../../scripts/local-runtime.ts";
import type { OutputOf } from "../../src/contract/operations.ts";
import { folderOnDisk, range, sample, scaled, timed, CannotMeasureError } from "../measure.ts";
import { WireClient, type About } from "./wire-client.ts";

async function builtWorker(): Promise<string> {
  const script = join(folderOnDisk("edge-worker"), "worker.mjs");
  await bundle("bench/edge/counting-worker.ts", script);
  return script;
}

/** A coordinator under workerd and clients that speak the wire, as lean as can be: what is measured is the coordinator. */
class EdgeRig {
  readonly #runtime: LocalRuntime;
  readonly #folder: string;
  /** Of the workspace. */
  readonly url: string;
  readonly token: string;

  static #script: Promise<string> | undefined;

  private constructor(runtime: LocalRuntime, folder: string, token: string) {
    this.#runtime = runtime;
    this.#folder = folder;
    this.url = `${runtime.url}/v1/workspaces/bench`;
    this.token = token;
  }

  static async open(isCounting: boolean): Promise<EdgeRig> {
    const script = await (EdgeRig.#script ??= builtWorker());
    // On a disk: durability is what is compared.
    const state = folderOnDisk("edge");
    const runtime = await LocalRuntime.start({
      script,
      state,
      bindings: { COUNT_ROWS: isCounting ? "1" : "0" },
    });
    const rig = new EdgeRig(runtime, state, await madeWorkspace(runtime, "bench"));
    // What one token may do is not what is measured.
    await rig.set({ maxOperationsPerSecond: 1_000_000, maxSocketsPerToken: 10_000, maxSockets: 10_000 });
    return rig;
  }

  client(chat: string, about: About = {}): Promise<WireClient> {
    return WireClient.connect(this.url, this.token, chat, about);
  }

  set(settings: Record<string, number>): Promise<void> {
    return this.#put("settings", { settings });
  }

  async #put(path: string, body: object): Promise<void> {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.url}/${path}`, { method: "PUT", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
  }

  async close(): Promise<void> {
    await this.#runtime.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A coordinator for one bench, so that none stands on what another has left. */
export async function freshRig(isCounting = false): Promise<EdgeRig> {
  const rig = await EdgeRig.open(isCounting);
  // The clients of the bench do not ping.
  await rig.set({ chatTtlMs: 600_000, maxConcurrentChats: 1_000 });
  return rig;
}

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

export interface OwnRedis {
  readonly port: number;
  readonly connect: () => Redis;
  readonly close: () => Promise<void>;
}

/**
 * A Redis of the bench: its own port and folder, append-only, on the disk before each answer, as a
 * coordinator.
 *
 * @throws {CannotMeasureError} where no redis-server is installed
 */
export async function besideRedis<T>(measure: (redis: OwnRedis) => Promise<T>): Promise<T> {
  if (spawnSync("redis-server", ["--version"], { stdio: "ignore" }).error)
    throw new CannotMeasureError("it needs redis-server in PATH: on Debian, apt-get install redis-server.");
  const redis = await ownRedis();
  try {
    return await measure(redis);
  } finally {
    await redis.close();
  }
}

async function ownRedis(): Promise<OwnRedis> {
  const folder = folderOnDisk("redis");
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  const server: ChildProcess = spawn("redis-server", [...args, "--appendonly", "yes", "--appendfsync", "always"], {
    stdio: "ignore",
  });
  const clients: Redis[] = [];
  const connect = (): Redis => {
    const client = new Redis(port, "127.0.0.1", { retryStrategy: () => 50 });
    // It may not listen yet: the client tries again.
    client.on("error", () => undefined);
    clients.push(client);
    return client;
  };
  await connect().ping();
  return {
    port,
    connect,
    close: async () => {
      for (const client of clients) client.disconnect();
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

const tries = scaled(5);

/** From the signal to a chat's process until a watch of another chat reports its end, the slowest of some, in seconds. */
export async function detection() {
  const rig = await EdgeRig.open(false);
  const observer = await rig.client("observer");
  const offline = new Map<string, number>();
  let reading = Promise.resolve();
  let after = 0;
  const read = async (): Promise<void> => {
    const { changes, revision } = await observer.call<OutputOf<"state.changes">>("state.changes", {
      prefix: "$chat/",
      after,
    });
    after = revision;
    for (const { key, value } of changes)
      if (JSON.stringify(value).startsWith('{"status":"offline"')) offline.set(key.slice(6), performance.now());
  };
  observer.onNotification = (text) => {
    if (text.includes("state.changed")) reading = reading.then(read);
  };
  const ends: Record<string, (child: ChildProcess, chat: string) => unknown> = {
    // The system closes its connection.
    worker: (child) => child.kill("SIGKILL"),
    // As a machine that vanishes: nothing is closed, and nothing comes any more.
    silent: (child) => child.kill("SIGSTOP"),
    // Its machine sees that the process is gone.
    attested: async (child, chat) => {
      child.kill("SIGKILL");
      await once(child, "exit");
      await observer.call("chats.attest-death", { chat, machine: "bench", process: chat });
    },
  };
  const took = await Promise.all(
    Object.entries(ends).map(async ([name, end]) => {
      const chats = range(tries, (n) => `${name}-${n}`);
      // One watch of all is hinted once a second.
      for (const chat of chats) await observer.call("state.watch", { watch: chat, prefix: `$chat/${chat}` });
      const each = chats.map((chat) => delay(rig, chat, end, offline));
      return [name, Math.max(...(await Promise.all(each)))] as const;
    }),
  );
  observer.close();
  await rig.close();
  const worst = Object.fromEntries(took);
  const seconds = (name: string): number => (worst[name] ?? NaN) / 1_000;
  return { silent: seconds("silent"), attested: seconds("attested"), worker: seconds("worker") };
}

type End = (child: ChildProcess, chat: string) => unknown;

async function delay(rig: EdgeRig, chat: string, end: End, offline: ReadonlyMap<string, number>): Promise<number> {
  const args = [join(import.meta.dirname, "wire-client.ts"), rig.url, rig.token, chat];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(child.stdout, "data");
    const startedAt = performance.now();
    await end(child, chat);
    while (!offline.has(chat)) {
      if (performance.now() - startedAt > 60_000) throw new Error(`the end of ${chat} was not noticed`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return (offline.get(chat) ?? NaN) - startedAt;
  } finally {
    child.kill("SIGKILL");
  }
}

/** A Redis of the bench's own: its own port and folder, append-only, on the disk before each answer, as a coordinator. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { Redis } from "ioredis";
import { CannotMeasureError } from "../measure.ts";
import { folderOnDisk } from "../own-processes.ts";

export interface OwnRedis {
  readonly port: number;
  readonly connect: () => Redis;
  readonly close: () => Promise<void>;
}

/** @throws {CannotMeasureError} where no redis-server is installed */
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

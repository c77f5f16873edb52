/** A Redis of the bench's own: its own port and folder, append-only, with the wished durability. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";

export interface OwnRedis {
  readonly port: number;
  readonly connect: () => Redis;
  readonly close: () => Promise<void>;
}

/** @param fsync "always": on the disk before each answer, as a coordinator; "everysec": up to a second may be lost */
export async function ownRedis(fsync: "always" | "everysec"): Promise<OwnRedis> {
  mkdirSync(".scratch", { recursive: true });
  const folder = mkdtempSync(join(process.cwd(), ".scratch", "bench-redis-"));
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  const server: ChildProcess = spawn("redis-server", [...args, "--appendonly", "yes", "--appendfsync", fsync], {
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

import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that the kernel gives out by itself (32768 and more), so that no other program is given one in the meantime. */
const [first, count] = [25_000, 7_000];
/** Processes beside each other begin at different ones. */
let next = process.pid * 31;

/** A port that is free, and that no process gets which does not name it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % count);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const taken = once(server, "error").then(() => false);
  const listening = once(server.listen(port, "127.0.0.1"), "listening").then(() => true);
  const isOpen = await Promise.race([taken, listening]);
  if (!isOpen) return false;
  server.close();
  await once(server, "close");
  return true;
}

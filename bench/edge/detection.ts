import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { OutputOf } from "../../src/contract/operations.ts";
import { range, scaled } from "../measure.ts";
import { EdgeRig } from "./edge-rig.ts";

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
  await observer.call("state.watch", { watch: "w", prefix: "$chat/" });
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
      const each = range(tries, (n) => delay(rig, `${name}-${n}`, end, offline));
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

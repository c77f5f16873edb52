/** How long the others know nothing of an end: from the signal to the process until a watch is told. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { OutputOf } from "../../src/contract/operations.ts";
import type { Row } from "../figures.ts";
import { scaled } from "../size.ts";
import { EdgeRig } from "./edge-rig.ts";

const tries = scaled(5);

export async function detection(): Promise<Row[]> {
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
    interactive: (child) => child.kill("SIGKILL"),
    // As a machine that vanishes: nothing is closed, and nothing comes any more.
    silent: (child) => child.kill("SIGSTOP"),
    // Somebody on its machine sees that the process is gone.
    attested: async (child, chat) => {
      child.kill("SIGKILL");
      await once(child, "exit");
      await observer.call("chats.attest-death", { chat, machine: "bench", process: chat });
    },
  };
  const took = await Promise.all(
    Object.entries(ends).map(async ([name, end]) => {
      const each = Array.from({ length: tries }, (_, n) => delay(rig, `${name}-${n}`, end, offline));
      return [name, Math.max(...(await Promise.all(each)))] as const;
    }),
  );
  observer.close();
  await rig.close();
  const worst = Object.fromEntries(took);
  return [
    row("a worker's process is killed (grace 5 s)", worst["worker"], 6_000, "at most its grace + 1 s"),
    row("a chat's process with a user is killed (grace 20 s)", worst["interactive"], 21_000, "at most its grace + 1 s"),
    row("a process is killed, and attested", worst["attested"], 2_000, "under 2 s"),
    row("a holder falls silent (ttl 30 s)", worst["silent"], 35_000, "under 35 s"),
  ];
}

function row(name: string, ms: number | undefined, most: number, goal: string): Row {
  return {
    group: "detection",
    n: tries,
    name: `${name}, the slowest of ${tries}`,
    figure: `${((ms ?? NaN) / 1_000).toFixed(2)} s`,
    goal,
    isReached: (ms ?? NaN) <= most,
  };
}

type End = (child: ChildProcess, chat: string) => unknown;

async function delay(rig: EdgeRig, chat: string, end: End, offline: ReadonlyMap<string, number>): Promise<number> {
  const args = [join(import.meta.dirname, "dying-chat.ts"), rig.url, rig.token, chat];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(child.stdout, "data");
    const startedAt = performance.now();
    await end(child, chat);
    while (!offline.has(chat)) {
      if (performance.now() - startedAt > 60_000) throw new Error(`nobody has noticed the end of ${chat}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return (offline.get(chat) ?? NaN) - startedAt;
  } finally {
    child.kill("SIGKILL");
  }
}

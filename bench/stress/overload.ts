import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { LocalEdge } from "../../scripts/local-edge.ts";
import { range } from "../measure.ts";
import type { Plan, Produced } from "./producers.ts";
import { aChat, type StressChat } from "./wire.ts";

const run = promisify(execFile);
/** Frames under way together when the coordinator is asked for what it can. */
const fewProducers = 8;
const tasksPerFrame = 500;
/** Together they wait longer than the coordinator lets submits wait. */
const manyProducers = 800;
const lookupsPerFrame = 100;
const loadType = "load";
const keepers = 10;
const keeperPauseMs = 20;

export interface OverloadOutcome {
  readonly produced: Produced;
  /** Tasks of accepted frames that are not there. */
  readonly lost: number;
  /** Codes of the heartbeats that were refused meanwhile. */
  readonly refusedHeartbeats: readonly string[];
}

/** Offers a multiple of what the coordinator can, while chats send heartbeats beside it. */
export async function overload(edge: LocalEdge, times: number, forMs: number): Promise<OverloadOutcome> {
  const workspace = `${edge.url}/v1/workspaces/${edge.workspace}`;
  const settings = { maxOperationsPerSecond: 1_000_000, maxSocketsPerToken: 10_000, maxSockets: 10_000 };
  await edge.call("settings.set", { settings: { ...settings, maxTasks: 5_000_000 } });
  const plan = { workspace, token: edge.adminToken, tasksPerFrame };
  const chats = await Promise.all(range(keepers, (n) => aChat(workspace, edge.adminToken, "keeper", `keeper-${n}`)));
  // The first one opens what the runtime opens once.
  await inChild({ ...plan, producers: fewProducers, rate: null, ms: 1_000, type: "warm" });
  const alone = await inChild({ ...plan, producers: fewProducers, rate: null, ms: forMs / 2, type: "alone" });
  const rate = (times * 1_000 * alone.accepted.length) / (forMs / 2);
  const producing = inChild({ ...plan, producers: manyProducers, rate, ms: forMs, type: loadType });
  const refusedHeartbeats = await heartbeatsDuring(chats, producing);
  const produced = await producing;
  await untilAccepted(edge);
  const lost = await countLost(chats, produced.accepted);
  for (const { socket } of chats) socket.close();
  return { produced, lost, refusedHeartbeats };
}

/** Asks for the first and last task of each submit, which is stored as a whole; a repeated number is lost, too. */
async function countLost([chat]: readonly StressChat[], submits: readonly (readonly number[])[]): Promise<number> {
  const repeated = submits.flat().length - new Set(submits.flat()).size;
  const ends = submits.flatMap((tasks) => [tasks.at(0), tasks.at(-1)]);
  let found = 0;
  for (let from = 0; from < ends.length; from += lookupsPerFrame) {
    const calls = ends.slice(from, from + lookupsPerFrame).map((task) => ({ method: "tasks.get", params: { task } }));
    const answers = (await chat?.socket.frame(calls)) ?? [];
    found += answers.filter(({ result }) => result?.["type"] === loadType).length;
  }
  return repeated + ends.length - found;
}

async function inChild(plan: Plan): Promise<Produced> {
  const program = join(import.meta.dirname, "producers.ts");
  const { stdout } = await run(process.execPath, [program, JSON.stringify(plan)], { maxBuffer: 1e8 });
  return JSON.parse(stdout) as Produced;
}

async function untilAccepted(edge: LocalEdge): Promise<void> {
  for (;;) {
    const submitted = await edge.call("tasks.submit", { tasks: [{ type: "after", payload: 1 }] }).catch(() => null);
    if (submitted) return;
    await pause(keeperPauseMs);
  }
}

/** @returns codes of those that were refused */
async function heartbeatsDuring(chats: readonly StressChat[], work: Promise<unknown>): Promise<string[]> {
  const refused: string[] = [];
  const state = { isOver: false };
  void work.finally(() => (state.isOver = true)).catch(() => undefined);
  const keep = async ({ socket, self }: StressChat): Promise<void> => {
    for (let n = 0; !state.isOver; n++) {
      const [answer] = (await socket.frame([{ method: "chats.heartbeat", params: { self, progress: `p${n}` } }])) ?? [];
      if (!answer?.result) refused.push(answer?.error?.data.code ?? "closed");
      await pause(keeperPauseMs);
    }
  };
  await Promise.all(chats.map(keep));
  return refused;
}

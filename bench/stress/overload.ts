import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { LocalEdge } from "../../scripts/local-edge.ts";
import { range } from "../measure.ts";
import { aChat, type StressChat, StressSocket, type Answer } from "./wire.ts";

export interface Plan {
  /** URL of the workspace. */
  readonly workspace: string;
  readonly token: string;
  readonly producers: number;
  readonly tasksPerFrame: number;
  /** Frames a second of all together; null: as many as they can. */
  readonly rate: number | null;
  readonly ms: number;
  readonly type: string;
}

export interface Produced {
  /** The numbers of the tasks of each accepted frame. */
  readonly accepted: readonly (readonly number[])[];
  /** Frames that were not accepted before the end. */
  readonly givenUp: number;
  readonly refused: Readonly<Record<string, number>>;
  /** From the first sending of an accepted frame to its answer, in ms. */
  readonly times: readonly number[];
}

const jitterMs = 500;
/** Of a socket that was closed. */
const closed = { code: "closed", retryAfterMs: Infinity };

async function answerTo(socket: StressSocket, params: object): Promise<Answer> {
  const [answer] = (await socket.frame([{ method: "tasks.submit", params }])) ?? [];
  return answer ?? {};
}

async function produce(plan: Plan): Promise<Produced> {
  const { workspace, token, producers, rate, ms, type } = plan;
  const refused: Record<string, number> = {};
  const times: number[] = [];
  const accepted: number[][] = [];
  let givenUp = 0;
  const opened = await Promise.all(range(producers, () => StressSocket.open(workspace, token)));
  const sockets = opened.filter((socket) => socket !== null);
  const startedAt = performance.now();
  const until = startedAt + ms;
  const tasks = range(plan.tasksPerFrame, (n) => ({ type, payload: { n, text: "x".repeat(100) } }));

  const countRefusal = (code: string): void => void (refused[code] = (refused[code] ?? 0) + 1);

  /** @returns its tasks; null: it was not accepted before the end */
  async function sendUntilAccepted(socket: StressSocket): Promise<number[] | null> {
    for (;;) {
      const answer = await answerTo(socket, { tasks });
      if (answer.result) return (answer.result["tasks"] as { task: number }[]).map(({ task }) => task);
      const { code, retryAfterMs = 0 } = answer.error?.data ?? closed;
      countRefusal(code);
      const waitMs = retryAfterMs + Math.random() * jitterMs;
      if (performance.now() + waitMs > until) return null;
      await pause(waitMs);
    }
  }

  async function run(socket: StressSocket, at: number): Promise<void> {
    for (let n = 0; performance.now() < until; n++) {
      const dueAt = rate === null ? 0 : startedAt + ((n * producers + at) * 1_000) / rate;
      if (dueAt > until) break;
      await pause(Math.max(0, dueAt - performance.now()));
      const sentAt = performance.now();
      const submitted = await sendUntilAccepted(socket);
      if (submitted) {
        accepted.push(submitted);
        times.push(performance.now() - sentAt);
      } else givenUp += 1;
    }
  }

  await Promise.all(sockets.map(run));
  for (const socket of sockets) socket.close();
  return { accepted, givenUp, refused, times };
}

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
  const program = join(import.meta.dirname, "overload.ts");
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

if (import.meta.main) {
  const produced = await produce(JSON.parse(process.argv[2] ?? "") as Plan);
  console.log(JSON.stringify(produced));
}

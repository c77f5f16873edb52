import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { LocalEdge } from "../../scripts/local-edge.ts";
import { ms, perSecond, range, ratio, sample } from "../figures.ts";
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

/** How long what keeps or ends work took, in ms, and what was refused of it. */
interface Kept {
  readonly times: number[];
  readonly refused: string[];
}

export interface OverloadOutcome {
  /** Submits a second, without and with the load. */
  readonly capacity: number;
  readonly offered: number;
  readonly accepted: number;
  readonly produced: Produced;
  /** Tasks of accepted frames that are not there. */
  readonly lost: number;
  readonly calm: Kept;
  readonly loaded: Kept;
  /** From the end of the load to the first submit that was accepted, in ms. */
  readonly recoveryMs: number;
}

/** Offers a multiple of what the coordinator can, while chats renew and end their work beside it. */
export async function overload(edge: LocalEdge, times: number, forMs: number): Promise<OverloadOutcome> {
  const workspace = `${edge.url}/v1/workspaces/${edge.workspace}`;
  const settings = { maxOperationsPerSecond: 1_000_000, maxSocketsPerToken: 10_000, maxSockets: 10_000 };
  await edge.call("settings.set", { settings: { ...settings, maxTasks: 5_000_000 } });
  const plan = { workspace, token: edge.adminToken, tasksPerFrame };
  const chats = await Promise.all(range(keepers, (n) => aChat(workspace, edge.adminToken, "keeper", `keeper-${n}`)));
  // The first one opens what the runtime opens once.
  await inChild({ ...plan, producers: fewProducers, rate: null, ms: 1_000, type: "warm" });
  const alone = await inChild({ ...plan, producers: fewProducers, rate: null, ms: forMs / 2, type: "alone" });
  const capacity = (1_000 * alone.accepted.length) / (forMs / 2);
  const calm = await keepDuring(chats, pause(forMs / 2));
  const offered = times * capacity;
  const producing = inChild({ ...plan, producers: manyProducers, rate: offered, ms: forMs, type: loadType });
  const loaded = await keepDuring(chats, producing);
  const produced = await producing;
  const endedAt = performance.now();
  await untilAccepted(edge);
  const recoveryMs = performance.now() - endedAt;
  const lost = await countLost(chats, produced.accepted);
  for (const { socket } of chats) socket.close();
  const accepted = (1_000 * produced.accepted.length) / forMs;
  return { capacity, offered, accepted, produced, lost, calm, loaded, recoveryMs };
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

/** Each chat sends heartbeats, and renews and releases a lease that it has. */
async function keepDuring(chats: readonly StressChat[], work: Promise<unknown>): Promise<Kept> {
  const kept: Kept = { times: [], refused: [] };
  const state = { isOver: false };
  void work.finally(() => (state.isOver = true)).catch(() => undefined);
  const keep = async ({ socket, self }: StressChat): Promise<void> => {
    for (let n = 0; !state.isOver; n++) {
      const startedAt = performance.now();
      const [answer] = (await socket.frame([{ method: "chats.heartbeat", params: { self, progress: `p${n}` } }])) ?? [];
      kept.times.push(performance.now() - startedAt);
      if (!answer?.result) kept.refused.push(answer?.error?.data.code ?? "closed");
      await pause(keeperPauseMs);
    }
  };
  await Promise.all(chats.map(keep));
  return kept;
}

/** `keptP99Ms`: twice the time that submits may wait. */
const overloadTargets = { keptP99Ms: 2_000, recoveryMs: 2_000 } as const;

export function overloadMisses({ produced, lost, loaded, recoveryMs }: OverloadOutcome): string[] {
  const isLate = sample(loaded.times).p99 > overloadTargets.keptP99Ms;
  return [
    ...(lost === 0 ? [] : ["accepted tasks"]),
    ...(loaded.refused.length === 0 ? [] : ["a heartbeat was refused"]),
    ...((produced.refused["overloaded"] ?? 0) > 0 ? [] : ["nothing was refused"]),
    ...(isLate ? ["p99 of heartbeats"] : []),
    ...(recoveryMs > overloadTargets.recoveryMs ? ["recovery"] : []),
  ];
}

/** A Markdown table. */
export function overloadTable(outcome: OverloadOutcome): string {
  const { capacity, offered, accepted, produced, lost, calm, loaded, recoveryMs } = outcome;
  const [before, under, submits] = [sample(calm.times), sample(loaded.times), sample(produced.times)];
  const refusals = Object.entries(produced.refused).map(([code, count]) => `${code} ${count}`);
  const missed = overloadMisses(outcome);
  const lines: readonly (readonly [string, string])[] = [
    [`submits of ${tasksPerFrame} tasks that ${fewProducers} producers get done`, perSecond(capacity)],
    [`offered by ${manyProducers}`, `${perSecond(offered)}, ${ratio(offered / capacity)}`],
    ["accepted of these", `${perSecond(accepted)}, ${ratio(accepted / capacity)}`],
    ["refused, and sent again later", refusals.join(", ") || "none"],
    ["accepted submit, with its waits, p50 / p99", `${ms(submits.p50)} / ${ms(submits.p99)}`],
    [
      "heartbeat of others, p50 / p99",
      `${ms(under.p50)} / ${ms(under.p99)} (before ${ms(before.p50)} / ${ms(before.p99)})`,
    ],
    ["heartbeats refused", String(loaded.refused.length)],
    ["accepted tasks lost", String(lost)],
    ["from the end of the load to an accepted submit", ms(recoveryMs)],
    ["targets", missed.length === 0 ? "reached" : `MISSED: ${missed.join(", ")}`],
  ];
  return ["| measured | figure |", "| --- | --- |", ...lines.map(([name, figure]) => `| ${name} | ${figure} |`)].join(
    "\n",
  );
}

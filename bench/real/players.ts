import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Random } from "../measure.ts";
import { type MeasuredCut, judge } from "./judge.ts";
import { playSession } from "./play.ts";
import { textAtPath } from "./read-session.ts";
import type { SessionClient } from "./session-events.ts";

/** A session to play. Its cuts depend on nothing but this. */
export interface Job {
  readonly folder: string;
  readonly path: string;
  readonly client: SessionClient;
  /** Number in this run. */
  readonly session: number;
  readonly seed: number;
  readonly mostCuts: number;
}

export interface Played {
  readonly briefs: readonly MeasuredCut[];
  /** Why the session could not be played to its end. */
  readonly error: string | null;
}

const program = join(import.meta.dirname, "players.ts");

/** Plays the jobs in so many processes, and gives each result in the order of the jobs. */
export async function playAll(
  jobs: readonly Job[],
  processes: number,
  onPlayed: (played: Played, job: Job) => void,
): Promise<void> {
  const results: (Played | undefined)[] = [];
  let next = 0;
  let given = 0;
  const children = Array.from({ length: processes }, () =>
    fork(program, { stdio: ["ignore", "ignore", "inherit", "ipc"] }),
  );
  const work = async (child: ChildProcess): Promise<void> => {
    for (let at = next++; at < jobs.length; at = next++) {
      results[at] = await play(child, jobs[at] as Job);
      for (let done = results[given]; done; done = results[(given += 1)]) onPlayed(done, jobs[given] as Job);
    }
  };
  // One that fails leaves none of the others at work.
  await Promise.all(children.map(work)).finally(() => children.forEach((child) => void child.kill()));
}

async function play(child: ChildProcess, job: Job): Promise<Played> {
  const answered = new AbortController();
  const { signal } = answered;
  const gone = once(child, "exit", { signal }).then(() => ({ briefs: [], error: `${job.path}: its process ended` }));
  const answer = once(child, "message", { signal }).then(([played]) => played as Played);
  child.send(job);
  // The listener of what did not happen goes with the answer.
  return Promise.race([answer, gone]).finally(() => answered.abort());
}

/** Plays one session, in a process of its own. */
async function answer({ folder, path, session, seed, mostCuts }: Job): Promise<void> {
  const briefs: MeasuredCut[] = [];
  let error: string | null = null;
  try {
    const random = new Random(seed + session);
    await playSession(textAtPath(folder, path), random, mostCuts, (played) => briefs.push(judge(played)));
  } catch (caught) {
    error = `${path}: ${String(caught)}`;
  }
  process.send?.({ briefs, error } satisfies Played);
}

if (import.meta.main) {
  process.on("message", (job: Job) => void answer(job));
  process.on("disconnect", () => process.exit());
}

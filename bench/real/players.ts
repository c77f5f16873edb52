import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { MeasuredCut } from "./judge.ts";
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

const program = join(import.meta.dirname, "play-child.ts");

/** Plays the jobs in so many processes, and gives each result in the order of the jobs. */
export async function playAll(
  jobs: readonly Job[],
  processes: number,
  onPlayed: (played: Played, job: Job) => void,
): Promise<void> {
  const results: (Played | undefined)[] = [];
  let next = 0;
  let given = 0;
  const work = async (): Promise<void> => {
    const child = fork(program, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    for (let at = next++; at < jobs.length; at = next++) {
      results[at] = await play(child, jobs[at] as Job);
      for (let done = results[given]; done; done = results[(given += 1)]) onPlayed(done, jobs[given] as Job);
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: processes }, work));
}

async function play(child: ChildProcess, job: Job): Promise<Played> {
  const answered = new AbortController();
  const { signal } = answered;
  child.send(job);
  const gone = once(child, "exit", { signal }).then(() => ({ briefs: [], error: `${job.path}: its process ended` }));
  const answer = once(child, "message", { signal }).then(([played]) => played as Played);
  // The listener of what did not happen goes with the answer.
  return Promise.race([answer, gone]).finally(() => answered.abort());
}

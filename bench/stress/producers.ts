/** Producers in a process of their own: `node producers.ts <plan as JSON>`. Each sends one frame after the other, and a refused one again after the wait that the refusal names. */
import { setTimeout as pause } from "node:timers/promises";
import { range } from "../measure.ts";
import { StressSocket, type Answer } from "./wire.ts";

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

if (import.meta.main) {
  const produced = await produce(JSON.parse(process.argv[2] ?? "") as Plan);
  console.log(JSON.stringify(produced));
}

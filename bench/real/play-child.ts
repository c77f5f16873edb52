/** Plays one session after the other for the bench, in a process of its own. */
import { Random } from "../random.ts";
import { textAtPath } from "./choose-sessions.ts";
import { judge, type MeasuredCut } from "./judge.ts";
import { playSession } from "./play.ts";
import type { Job, Played } from "./players.ts";

process.on("message", (job: Job) => void answer(job));
process.on("disconnect", () => process.exit());

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

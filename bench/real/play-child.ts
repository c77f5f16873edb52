/** Plays one session after the other for the bench, in a process of its own. */
import { Random } from "../restore/random.ts";
import { textOfGrading } from "./gradings.ts";
import { measure } from "./measured.ts";
import { playSession } from "./play.ts";
import type { Job, Played } from "./players.ts";
import { textAtPath } from "./choose-sessions.ts";

process.on("message", (job: Job) => void answer(job));
process.on("disconnect", () => process.exit());

async function answer({ folder, path, session, seed, mostCuts, isShown }: Job): Promise<void> {
  const briefs: Played["briefs"][number][] = [];
  let error: string | null = null;
  try {
    await playSession(textAtPath(folder, path), new Random(seed + session), mostCuts, (played) => {
      briefs.push({ measured: measure(session, played), grading: isShown ? textOfGrading(played) : null });
    });
  } catch (caught) {
    error = `${path}: ${String(caught)}`;
  }
  process.send?.({ briefs, error } satisfies Played);
}

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemProcesses } from "../src/platform/processes.ts";
import { takeSnapshot } from "../src/snapshots/take-snapshot.ts";
import { undoFiles, type UndoInput } from "../src/snapshots/undo-files.ts";
import { ms, range, sample, timed, type Row, type Sample } from "./figures.ts";
import { env, files, LargeProject, limits } from "./large-project.ts";
import { scaled } from "./size.ts";

const changed = files / 100;
const rounds = scaled(7);
const goalMs = 1_000;

/** A turn of a large project: the snapshot at its start, the preview of its undo, the undo, and its redo. */
export async function benchUndo(folder: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const isGit of [true, false]) rows.push(...(await measure(join(folder, isGit ? "git" : "plain"), isGit)));
  return rows;
}

async function measure(folder: string, isGit: boolean): Promise<Row[]> {
  const large = new LargeProject(join(folder, "project"));
  const project = large.folder;
  if (isGit) large.commitAll();
  const common = { env, processes: systemProcesses, project, snapshots: join(folder, "snapshots"), limits };
  const snapshot = async (checkpointId: string): Promise<string> => {
    const taken = await takeSnapshot({ ...common, checkpointId, now: Date.now() });
    if (taken.state !== "done") throw new Error(taken.reason);
    return taken.commit;
  };
  const undo = async (what: UndoInput["what"], isApplied: boolean) => {
    const rest = { stamps: [], others: [], chosen: [], checkpointId: "undo", now: Date.now() };
    const done = await undoFiles({ ...common, ...rest, what, isApplied });
    if (done.state !== "done" || done.changes.length !== changed) throw new Error(JSON.stringify(done).slice(0, 500));
    return done;
  };
  const times = { start: [] as number[], preview: [] as number[], undo: [] as number[], redo: [] as number[] };
  await snapshot("first");
  for (const round of range(rounds, (n) => n)) {
    let start = "";
    times.start.push(await timed(async () => (start = await snapshot(`start-${round}`))));
    for (const at of range(changed - 2, (n) => n)) large.write(at * 100 + 1, `export const changed = ${round};\n`);
    writeFileSync(join(project, "created.ts"), "export {};\n");
    rmSync(join(project, `d0`, `f${round * 200}.ts`));
    const step = {
      start,
      unsaved: null,
      end: await snapshot(`end-${round}`),
      isWhole: true,
      interruptedAt: null,
      edited: [],
    };
    const what = { steps: [{ ...step, isOnlyEdited: false, sharedWith: null, leftOut: [] }] };
    times.preview.push(await timed(() => undo(what, false)));
    let undone: Awaited<ReturnType<typeof undo>> | null = null;
    times.undo.push(await timed(async () => (undone = await undo(what, true))));
    const redo = (undone as Awaited<ReturnType<typeof undo>> | null)?.applied?.undone ?? [];
    times.redo.push(await timed(() => undo({ redo }, true)));
    await undo(what, true);
  }
  const where = `${isGit ? "git" : "no git"}, ${files.toLocaleString("en")} files`;
  const row = (name: string, { p50, n }: Sample, goal?: number): Row => ({
    group: "undo",
    n,
    name: `${name} (${where})`,
    figure: ms(p50),
    ...(goal === undefined ? {} : { goal: `below ${goal / 1_000} s`, isReached: p50 < goal }),
  });
  return [
    row("snapshot at the start of a turn", sample(times.start)),
    row(`preview of a turn with ${changed} changed files`, sample(times.preview), goalMs),
    row("undo of it", sample(times.undo), goalMs),
    row("redo of it", sample(times.redo), goalMs),
  ];
}

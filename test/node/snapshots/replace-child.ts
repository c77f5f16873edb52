import { replaceFiles, type Replacement } from "#src/snapshots/replace-files.ts";

export type ChildTask = Omit<Replacement, "isStopped" | "beforeStep"> & { readonly killedBefore: number };

/** Replaces files and prints what came of it, or is killed before a step. */
const { killedBefore, ...work } = JSON.parse(process.argv[2] ?? "") as ChildTask;
let step = 0;
const done = await replaceFiles({
  ...work,
  beforeStep: () => {
    if (++step === killedBefore) process.kill(process.pid, "SIGKILL");
  },
});
console.log(JSON.stringify(done));

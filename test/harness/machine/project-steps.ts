import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";

/** Names of functions of `node:fs` with which files change, or are compared before. */
const names = [
  "chmodSync",
  "copyFileSync",
  "linkSync",
  "lstatSync",
  "mkdirSync",
  "readFileSync",
  "renameSync",
  "rmdirSync",
  "rmSync",
  "symlinkSync",
  "writeFileSync",
] as const;

type Call = (...args: readonly unknown[]) => unknown;
const calls = fs as unknown as Record<string, Call>;

/**
 * Runs `work`, and `beforeStep` before each access of it to the project's files, from the first file that it
 * writes there. Between the last comparison of a file and the rename that replaces it nobody can step in.
 */
export async function withSteps<T>(
  project: string,
  beforeStep: (path: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const originals = names.map((name) => [name, calls[name] as Call] as const);
  const isIn = (arg: unknown): boolean =>
    (typeof arg === "string" || Buffer.isBuffer(arg)) && String(arg).startsWith(join(project, "/"));
  let isWriting = false;
  let isStep = false;
  for (const [name, call] of originals) {
    calls[name] = (...args) => {
      isWriting ||= name === "writeFileSync" && isIn(args[0]);
      const isReplacing = name === "renameSync" && fs.existsSync(args[1] as string);
      if (!isWriting || isStep || isReplacing || !isIn(args[0])) return call(...args);
      isStep = true;
      try {
        beforeStep(String(args[0]).slice(project.length + 1));
      } finally {
        isStep = false;
      }
      return call(...args);
    };
  }
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    for (const [name, call] of originals) calls[name] = call;
    syncBuiltinESMExports();
  }
}

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { Report } from "../../src/code/analysis/report.ts";
import { EvolveReport } from "../../src/code/evolution/run.ts";

const launcher = join(import.meta.dirname, "../../bin/shim.mjs");

const Transformed = z.object({ branch: z.string().nullable(), isIdempotent: z.boolean(), files: z.array(z.unknown()) });
export type Transformed = z.infer<typeof Transformed>;

export interface Shim {
  readonly analyze: (root: string, ...args: string[]) => Report;
  /** Leaves a branch, or null where nothing was to change. @throws {Error} where it was refused */
  readonly transform: (root: string, what: string, ...args: string[]) => Transformed | null;
  readonly evolve: (root: string, ...args: string[]) => EvolveReport;
  /** Merges the work of a task that was kept. */
  readonly accept: (root: string, task: number) => void;
  /** Folder that is deleted in the end. */
  readonly home: string;
}

/** The built command, with a home of its own. */
export function withShim<T>(body: (shim: Shim) => T): T {
  const home = mkdtempSync(join(tmpdir(), "shim-proof-"));
  mkdirSync(join(home, "shim"));
  const env = { ...process.env, HOME: home, SHIM_HOME: join(home, "shim"), NO_COLOR: "1" };
  const run = (cwd: string, codes: readonly number[], args: readonly string[]): { code: number; out: string } => {
    const options = { cwd, env, encoding: "utf8", maxBuffer: 200_000_000 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], options);
    if (status === null || !codes.includes(status)) throw new Error(`shim ${args.join(" ")}: ${stdout}${stderr}`);
    return { code: status, out: stdout };
  };
  try {
    return body({
      analyze: (root, ...args) =>
        Report.parse(JSON.parse(run(root, [0, 1], ["code", "analyze", "--trust", "--json", ...args]).out)),
      transform: (root, what, ...args) => {
        const { code, out } = run(root, [0, 3], ["code", "transform", what, "--trust", "--branch", "--json", ...args]);
        return code === 3 ? null : Transformed.parse(JSON.parse(out));
      },
      evolve: (root, ...args) =>
        EvolveReport.parse(JSON.parse(run(root, [0], ["code", "evolve", "--trust", "--json", ...args]).out)),
      accept: (root, task) => void run(root, [0], ["code", "evolve", "review", "--accept", String(task)]),
      home,
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

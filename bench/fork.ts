import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { systemProcesses } from "../src/platform/processes.ts";
import { restoreWorktree } from "../src/snapshots/restore-worktree.ts";
import { takeSnapshot } from "../src/snapshots/take-snapshot.ts";
import { ms, range, ratio, sample, timed, type Row } from "./figures.ts";
import { env, files, LargeProject, limits } from "./large-project.ts";
import { scaled } from "./size.ts";

const changed = files / 100;
const rounds = scaled(5);
const goalMs = 2_000;

/** Worktrees with the files of a snapshot, interleaved with git's own of the same commit. */
export async function benchFork(folder: string): Promise<Row[]> {
  const large = new LargeProject(join(folder, "fork-project"));
  large.commitAll();
  for (const at of range(changed, (n) => n)) large.write(at * 100, `export const changed${at} = ${at};\n`);
  const host = { env, processes: systemProcesses };
  const snapshots = join(folder, "fork-snapshots");
  const taken = await takeSnapshot({
    ...host,
    project: large.folder,
    snapshots,
    checkpointId: "cp",
    now: Date.now(),
    limits,
  });
  if (taken.state !== "done") throw new Error(taken.reason);
  const { repository, commit, head } = taken;
  const times: Record<"fork" | "git", number[]> = { fork: [], git: [] };
  for (const round of range(rounds + 1, (n) => n)) {
    const place = (kind: string) => ({ folder: join(folder, kind, `${round}`), branch: `${kind}-${round}` });
    const input = { ...host, timeoutMs: 600_000, repository, commit, project: large.folder, head };
    const ways = {
      git: () => large.git("worktree", "add", "--quiet", "-b", place("git").branch, place("git").folder),
      fork: async () => {
        const made = await restoreWorktree({ ...input, ...place("fork") });
        if (!made.ok) throw new Error(made.error.message);
      },
    };
    // What is written second may wait for the disk to take the first.
    for (const kind of round % 2 === 0 ? (["git", "fork"] as const) : (["fork", "git"] as const)) {
      execFileSync("sync");
      const time = await timed(ways[kind]);
      // The first round only warms the caches.
      if (round > 0) times[kind].push(time);
    }
    for (const kind of ["git", "fork"]) large.git("worktree", "remove", "--force", place(kind).folder);
  }
  const [fork, bare] = [sample(times.fork), sample(times.git)];
  return [
    {
      group: "fork",
      n: fork.n,
      name: `worktree with the files of a prompt, ${files.toLocaleString("en")} files, ${changed} of them not committed`,
      figure: ms(fork.p50),
      against: `${ms(bare.p50)} \`git worktree add\` alone (${ratio(fork.p50 / bare.p50)})`,
      goal: `below ${goalMs / 1_000} s`,
      isReached: fork.p50 < goalMs,
    },
  ];
}

import { join } from "node:path";
import { expect, it } from "vitest";
import { aProject, expectClean } from "#harness/evolution/evolve-home.ts";
import { branches, seeded } from "#harness/evolution/sample-project.ts";
import { printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

const timeout = 300_000;

it(
  "a change of a file that another chat has reserved waits until it is free, at no cost; an accepted one's branch stays while it has other commits @night",
  { timeout },
  async () => {
    const home = aProject(seeded);
    const { project } = home;
    await home.shim("team files reserve src/math.ts");
    const waits: string[] = [];
    const untilFree = async (): Promise<void> => {
      const { tasks } = (await home.json("task list")) as unknown as OutputOf<"tasks.list">;
      waits.push(tasks.map(({ state, failures }) => `${state} ${failures}`).join(", "));
      await home.shim("team files release");
      home.now += 60_000;
    };
    let [freed, turns] = [Promise.resolve(), 0];
    const stderr = (text: string): void => {
      // The second turn finds the task that the first one has put off.
      if (text.includes("works as") && ++turns === 2) freed = untilFree();
    };
    const io = { interrupted: () => new AbortController().signal, stderr };
    const report = (await home.shimWith(io, "code evolve --trust --json")).json() as unknown as EvolveReport;
    await freed;
    expect(waits).toEqual(["done 0, done 0, scheduled 0, blocked 0"]);
    expect(report.tried.map(({ outcome }) => outcome)).toEqual(["kept", "kept", "kept"]);
    expectClean(home, 3);
    expect(await home.json("team files list")).toMatchObject({ files: [] });

    const [one, other, third] = report.tried.map(({ task, branch }) => ({ task, branch: branch ?? "" }));
    const head = git(project, "symbolic-ref", "--short", "HEAD").trim();
    git(project, "switch", "--quiet", one?.branch ?? "");
    git(project, "commit", "--quiet", "--allow-empty", "-m", "more");
    git(project, "switch", "--quiet", head);
    expect(await home.shim(`code evolve review --accept ${one?.task}`)).toMatchObject(printed("is left"));
    git(project, "worktree", "add", "--quiet", join(home.paths.home, "tree-of-a-user"), other?.branch ?? "");
    expect(await home.shim(`code evolve review --accept ${other?.task}`)).toMatchObject(printed("is left"));
    expect(new Set(branches(project))).toEqual(new Set([one?.branch, other?.branch, third?.branch]));
  },
);

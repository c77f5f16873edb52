import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import { takePending } from "#src/snapshots/pending-snapshots.ts";
import { checkpointOf, failed, ids, printed } from "#harness/machine/cli-home.ts";
import { loseSession, twoCliHomes, type CliMachines } from "#harness/machine/cli-machines.ts";
import { commitAll, contents, git, temporaryFolder, write } from "#harness/machine/git-project.ts";

/** The machines have clones of one repository. The first sends its uncommitted files. */
async function aPair(maxFilesBytes = 8_388_608): Promise<CliMachines> {
  const machines = await twoCliHomes((there, here) => {
    const origin = join(temporaryFolder(), "origin.git");
    git(there.project, "init", "-q", "-b", "main");
    write(there.project, { "a.txt": "committed\n" });
    commitAll(there.project, "first");
    git(there.folder, "clone", "-q", "--bare", there.project, origin);
    git(here.project, "clone", "-q", origin, ".");
    git(there.project, "remote", "add", "origin", origin);
    git(there.project, "fetch", "-q", "origin");
  });
  const config = { ...defaults, sync: { files: true, maxFilesBytes } };
  Object.assign(machines.there.runtime, { config });
  return machines;
}

/** A session works, and dies. */
function loseAChat(machines: CliMachines): Promise<void> {
  const { project, runtime } = machines.there;
  write(project, { "a.txt": "not committed\n", "b.txt": "new\n", ".env": "TOKEN=very-secret-12345\n" });
  return loseSession(machines, () => takePending(runtime, [ids.dead], new AbortController().signal));
}

it("[CL131] [RE28] the brief names the command that restores the files of another machine's session", async () => {
  const pair = await aPair();
  const { there, here } = pair;
  await loseAChat(pair);
  expect(await there.shim("edge sync")).toMatchObject(printed("uncommitted files of 1 session"));
  expect((await there.shim("edge status")).out).toContain("Uncommitted files: those of 1 session are stored there");
  const brief = await here.shim("resume", ids.dead, "--print");
  const command = `shim restore ${ids.dead} --files`;
  expect(brief.out).toContain(`uncommitted ones too: \`${command}\``);
  const before = contents(here.project);
  const ran = await here.shim("restore", ids.dead, "--files");
  expect([ran.code, ran.err]).toEqual([0, expect.stringContaining("Fetching")]);
  expect(ran.out).toContain(`The files of ${ids.dead} on desk, as they were`);
  expect(ran.out).toContain("Restored 2 files into");
  // What a snapshot leaves out does not travel.
  expect(ran.out).toMatch(/Never saved:\n {2}\.env: /);
  const folder = `${here.project}-${ids.dead.slice(0, 8)}`;
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("not committed\n");
  expect([existsSync(join(folder, ".env")), contents(here.project)]).toEqual([false, before]);
  const checkpoint = checkpointOf(there, ids.dead);
  const json = await here.shim("restore", checkpoint, "--files", "--branch", "work", "--json");
  expect(json.json()).toMatchObject({
    checkpoint,
    session: ids.dead,
    machine: "desk",
    into: null,
    branch: { name: "work" },
    leftOut: [{ path: ".env" }],
  });
  expect(git(here.project, "show", "work:b.txt")).toBe("new\n");
  // Never over anything that is there.
  expect(await here.shim("restore", ids.dead, "--files")).toMatchObject(failed(1, "exists and is not an empty folder"));
});

it("[CL151] it says why not: another folder, a missing commit, no answer, an unknown id", async () => {
  const pair = await aPair();
  const { server, there, here } = pair;
  write(there.project, { "a.txt": "second\n" });
  const second = commitAll(there.project, "second");
  git(there.project, "push", "-q", "origin", "main");
  git(there.project, "fetch", "-q", "origin");
  await loseAChat(pair);
  expect((await there.shim("edge sync")).code).toBe(0);
  const elsewhere = await here.shimWith({ cwd: here.other }, "restore", ids.dead, "--files");
  expect([elsewhere.code, elsewhere.err]).toEqual([1, expect.stringContaining("this folder is not the project")]);
  const brief = await here.shim("resume", ids.dead, "--print");
  expect(brief.out).toContain(
    `they are based on commit ${second.slice(0, 12)}, which is NOT HERE: \`git fetch\` first`,
  );
  expect(await here.shim("restore", ids.dead, "--files")).toMatchObject(failed(1, second, "git fetch"));
  expect((await here.shim("restore nope --files")).code).toBe(3);
  git(here.project, "fetch", "-q", "origin");
  server.isDown = true;
  expect(await here.shim("restore", ids.dead, "--files")).toMatchObject(failed(1, "Nothing was restored"));
  server.isDown = false;
  expect((await here.shim("restore", ids.dead, "--files")).code).toBe(0);
});

it("[RE28] [SY86] a brief claims no files that did not arrive, and says why they did not", async () => {
  const pair = await aPair(200);
  const { there, here } = pair;
  await loseAChat(pair);
  await there.shim("edge sync");
  expect((await there.shim("edge status")).out).toContain(
    "the newest of 1 session are here only: packed they have more than 200 bytes",
  );
  const brief = await here.shim("resume", ids.dead, "--print");
  expect(brief.out).toContain("files as they were: on desk only");
  expect(brief.out).toContain("packed they have more than 200 bytes");
  expect(brief.out).not.toContain("shim restore");
  expect(await here.shim("restore", ids.dead, "--files")).toMatchObject(failed(1, "desk has sent none"));
  const off = await aPair();
  Object.assign(off.there.runtime, { config: defaults });
  await loseAChat(off);
  await off.there.shim("edge sync");
  expect((await off.there.shim("edge status")).out).not.toContain("ncommitted files");
  expect((await off.here.shim("resume", ids.dead, "--print")).out).not.toContain("shim restore");
});

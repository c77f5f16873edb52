import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { shortCheckpointId } from "#src/local-mcp/sessions/short-ids.ts";
import { takePending } from "#src/snapshots/pending-snapshots.ts";
import { defaults } from "#src/contract/config.ts";
import {
  aCliHome,
  addSession,
  checkpointOf,
  failed,
  holding,
  ids,
  printed,
  type CliHome,
} from "#harness/machine/cli-home.ts";
import { loseSession, twoCliHomes, type CliMachines } from "#harness/machine/cli-machines.ts";
import { commitAll, contents, git, temporaryFolder, write } from "#harness/machine/git-project.ts";

/** A project in git with uncommitted work, a dead session, and the snapshot of its files. */
async function withSnapshot(): Promise<{ home: CliHome; id: string; short: string }> {
  const home = aCliHome();
  home.alive.add(process.pid);
  Object.assign(home.runtime.env, { PATH: `${join(home.folder, "path")}:${process.env["PATH"]}` });
  git(home.project, "init", "-q", "-b", "main");
  write(home.project, { "a.txt": "one\n" });
  commitAll(home.project, "first");
  write(home.project, { "a.txt": "two\n", ".env": "KEY=1\n" });
  addSession(home, { id: ids.dead, pid: 200 });
  await takePending(home.runtime, [ids.dead], new AbortController().signal);
  const id = checkpointOf(home, ids.dead);
  return { home, id, short: home.runtime.store.read((sql) => shortCheckpointId(sql, id), "") };
}

it("[CL13] the files of a checkpoint come into a new folder beside the project, or into the one that is named", async () => {
  const { home, id, short } = await withSnapshot();
  const folder = join(home.folder, `project-${short}`);
  expect(await home.shim("restore", id, "--files")).toMatchObject({
    ...printed(`Restored 1 file into ${folder}`, /Never saved:\n {2}\.env: /),
    err: holding("Restoring the files"),
  });
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("two\n");
  const into = join(home.folder, "back");
  const back = await home.json("restore", id, "--files", "--into", "../back");
  expect(back).toMatchObject({ checkpoint: id, into, written: ["a.txt"], branch: null });
  expect(existsSync(join(into, "a.txt"))).toBe(true);
});

it("[CL13] or they become a new branch of the project, whose work tree stays as it is", async () => {
  const { home, id } = await withSnapshot();
  const back = await home.json("restore", id, "--files", "--branch", "back");
  expect(back).toMatchObject({ into: null, branch: { name: "back" } });
  expect(git(home.project, "show", "back:a.txt")).toBe("two\n");
  expect(git(home.project, "branch", "--show-current")).toBe("main\n");
  expect((await home.shim("restore", id, "--files", "--branch", "back")).err).toContain("already exists");
  expect((await home.shim("restore", id, "--files", "--branch", "back2")).out).toContain("the branch back2 of");
});

it("[CL156] never over what is there, and wrong usage changes nothing", async () => {
  const { home, id } = await withSnapshot();
  write(join(home.folder, "full"), { mine: "x" });
  const full = await home.shim("restore", id, "--files", "--into", "../full", "--json");
  expect(full).toMatchObject({ code: 1, error: "folder_not_empty" });
  const wrong = [`restore ${id}`, `restore ${id} --files --into x --branch y`, "restore nope --files"];
  expect(await home.codes(...wrong)).toEqual([2, 2, 3]);
});

it("[CL13] a checkpoint without files says why, and names the session's newest that has them", async () => {
  const { home, id } = await withSnapshot();
  const set = (state: string, reason: string | null): void =>
    void home.runtime.store.write((sql) =>
      sql.run("UPDATE snapshots SET state = ?, reason = ? WHERE checkpoint_id = ?", state, reason, id),
    );
  for (const state of ["pending", "running"]) {
    set(state, null);
    expect((await home.shim("restore", id, "--files")).err).toEqual(
      holding(
        "(0 s ago) are not saved yet. The chat's own process saves them within a minute of the checkpoint",
        "If that process has ended, they can no longer be saved.",
      ),
    );
  }
  for (const [state, reason] of [
    ["failed", "no space left"],
    ["skipped", "a newer checkpoint came first"],
  ] as const) {
    set(state, reason);
    const { err } = await home.shim("restore", id, "--files");
    expect(err).toContain(`were not saved: ${reason}. Files are never saved later`);
  }
  set("done", null);
  home.now += 1_000;
  const entries = ["x", "next"].map((text) => ({ kind: "prompt", text }) as const);
  addSession(home, { id: ids.dead, pid: 200, entries });
  const later = checkpointOf(home, ids.dead);
  expect(later).not.toBe(id);
  home.runtime.store.write((sql) => sql.run("DELETE FROM snapshots WHERE checkpoint_id = ?", later));
  const short = home.runtime.store.read((sql) => shortCheckpointId(sql, id), "");
  expect(await home.shim("restore", later, "--files")).toMatchObject(
    failed(1, "no files were saved", `shim restore ${short} --files`),
  );
  expect((await home.shim("checkpoints show", id)).out).toContain(`files: done, \`shim restore ${short} --files\``);
});

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
  const whose = `The files of ${ids.dead} on desk, as they were`;
  expect(await here.shim("restore", ids.dead, "--files")).toMatchObject({
    // What a snapshot leaves out does not travel.
    ...printed(whose, "Restored 2 files into", /Never saved:\n {2}\.env: /),
    err: holding("Fetching"),
  });
  const folder = `${here.project}-${ids.dead.slice(0, 8)}`;
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("not committed\n");
  expect([existsSync(join(folder, ".env")), contents(here.project)]).toEqual([false, before]);
  const checkpoint = checkpointOf(there, ids.dead);
  expect((await here.shim("restore", checkpoint, "--files", "--branch", "work", "--json")).json()).toMatchObject({
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
  expect(await here.shimWith({ cwd: here.other }, "restore", ids.dead, "--files")).toMatchObject(
    failed(1, "this folder is not the project"),
  );
  expect((await here.shim("resume", ids.dead, "--print")).out).toContain(
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

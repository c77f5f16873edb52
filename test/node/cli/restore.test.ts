import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { shortCheckpointId } from "#src/local-mcp/sessions/short-ids.ts";
import { takePending } from "#src/snapshots/pending-snapshots.ts";
import { aCliHome, addSession, checkpointOf, failed, ids, type CliHome } from "#harness/machine/cli-home.ts";

function git(home: CliHome, ...args: string[]): string {
  const env = { ...process.env, HOME: home.folder, GIT_CONFIG_NOSYSTEM: "1" };
  const identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
  return execFileSync("git", [...identity, ...args], { cwd: home.project, env, encoding: "utf8" }).trim();
}

/** A project in git with uncommitted work, a dead session, and the snapshot of its files. */
async function withSnapshot(home: CliHome): Promise<string> {
  home.alive.add(process.pid);
  Object.assign(home.runtime.env, { PATH: `${join(home.folder, "path")}:${process.env["PATH"]}` });
  git(home, "init", "-q", "-b", "main");
  writeFileSync(join(home.project, "a.txt"), "one\n");
  git(home, "add", ".");
  git(home, "commit", "-q", "-m", "first");
  writeFileSync(join(home.project, "a.txt"), "two\n");
  writeFileSync(join(home.project, ".env"), "KEY=1\n");
  addSession(home, { id: ids.dead, pid: 200 });
  await takePending(home.runtime, [ids.dead], new AbortController().signal);
  return checkpointOf(home, ids.dead);
}

function shortOf(home: CliHome, checkpoint: string): string {
  return home.runtime.store.read((sql) => shortCheckpointId(sql, checkpoint), "");
}

it("[CL13] the files of a checkpoint come into a new folder beside the project, or into the one that is named", async () => {
  const home = aCliHome();
  const id = await withSnapshot(home);
  const ran = await home.shim("restore", id, "--files");
  expect(ran.code).toBe(0);
  const folder = join(home.folder, `project-${shortOf(home, id)}`);
  expect(ran.out).toContain(`Restored 1 file into ${folder}`);
  expect(ran.out).toMatch(/Never saved:\n {2}\.env: /);
  expect(ran.err).toContain("Restoring the files");
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("two\n");
  const into = await home.shim("restore", id, "--files", "--into", "../back", "--json");
  expect(into.json()).toMatchObject({
    checkpoint: id,
    into: join(home.folder, "back"),
    written: ["a.txt"],
    branch: null,
  });
  expect(existsSync(join(home.folder, "back", "a.txt"))).toBe(true);
});

it("[CL13] or they become a new branch of the project, whose work tree stays as it is", async () => {
  const home = aCliHome();
  const id = await withSnapshot(home);
  const ran = await home.shim("restore", id, "--files", "--branch", "back", "--json");
  expect(ran.json()).toMatchObject({ into: null, branch: { name: "back" } });
  expect(git(home, "show", "back:a.txt")).toBe("two");
  expect(git(home, "branch", "--show-current")).toBe("main");
  expect((await home.shim("restore", id, "--files", "--branch", "back")).err).toContain("already exists");
  expect((await home.shim("restore", id, "--files", "--branch", "back2")).out).toContain("the branch back2 of");
});

it("[CL156] never over what is there, and wrong usage changes nothing", async () => {
  const home = aCliHome();
  const id = await withSnapshot(home);
  mkdirSync(join(home.folder, "full"));
  writeFileSync(join(home.folder, "full", "mine"), "x");
  const full = await home.shim("restore", id, "--files", "--into", join(home.folder, "full"), "--json");
  expect(full.code).toBe(1);
  expect(full.json()).toMatchObject({ error: { code: "folder_not_empty" } });
  expect((await home.shim("restore", id)).code).toBe(2);
  expect((await home.shim("restore", id, "--files", "--into", "x", "--branch", "y")).code).toBe(2);
  expect((await home.shim("restore nope --files")).code).toBe(3);
});

it("[CL13] a checkpoint without files says why, and names the session's newest that has them", async () => {
  const home = aCliHome();
  const id = await withSnapshot(home);
  const set = (state: string, reason: string | null): void =>
    void home.runtime.store.write((sql) =>
      sql.run("UPDATE snapshots SET state = ?, reason = ? WHERE checkpoint_id = ?", state, reason, id),
    );
  for (const state of ["pending", "running"]) {
    set(state, null);
    const { err } = await home.shim("restore", id, "--files");
    expect(err).toContain(
      "(0 s ago) are not saved yet. The chat's own process saves them within a minute of the checkpoint",
    );
    expect(err).toContain("If that process has ended, they can no longer be saved.");
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
  addSession(home, {
    id: ids.dead,
    pid: 200,
    entries: [
      { kind: "prompt", text: "x" },
      { kind: "prompt", text: "next" },
    ],
  });
  const later = checkpointOf(home, ids.dead);
  expect(later).not.toBe(id);
  home.runtime.store.write((sql) => sql.run("DELETE FROM snapshots WHERE checkpoint_id = ?", later));
  expect(await home.shim("restore", later, "--files")).toMatchObject(
    failed(1, "no files were saved", `shim restore ${shortOf(home, id)} --files`),
  );
  const shown = await home.shim("checkpoints show", id);
  expect(shown.out).toContain(`files: done, \`shim restore ${shortOf(home, id)} --files\``);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { git, HOST, LIMITS, makeProject, paths, T0, take, taken, write } from "#harness/machine/git-project.ts";

/** Of a process that has ended. */
const GONE = JSON.stringify({ boot: systemProcesses.boot(), pid: process.pid, start: "another start" });

it("[GS15] two processes and this one take snapshots of one project at the same time", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  write(from.project, { "a.txt": "edited\n" });
  const module = resolve("src/snapshots/take-snapshot.ts");
  const processes = resolve("src/platform/processes.ts");
  const script = `
    import { takeSnapshot } from ${JSON.stringify(module)};
    import { systemProcesses } from ${JSON.stringify(processes)};
    const input = JSON.parse(process.argv[1]);
    for (let i = 0; i < 4; i++) {
      const snapshot = await takeSnapshot({ ...input, processes: systemProcesses, checkpointId: input.name + i });
      console.log(snapshot.state === "done" ? snapshot.commit : snapshot.reason);
    }`;
  const child = async (name: string) => {
    const input = { env: HOST.env, project: from.project, snapshots: from.snapshots, now: T0, limits: LIMITS, name };
    const running = spawn(process.execPath, ["--input-type=module", "-e", script, JSON.stringify(input)]);
    let stdout = "";
    running.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    await once(running, "close");
    return stdout.trim().split("\n");
  };
  const mine = async () => {
    const snapshots = [];
    for (let i = 0; i < 4; i++) snapshots.push((await taken(from, { checkpointId: `me${i}` })).commit);
    return snapshots;
  };
  const all = (await Promise.all([child("x"), child("y"), mine()])).flat();
  expect(all).toHaveLength(12);
  for (const commit of all) expect(commit).toMatch(/^[0-9a-f]{40}$/);
  const { repository } = await taken(from);
  expect(git(repository, "for-each-ref").trim().split("\n")).toHaveLength(13);
  expect(git(repository, "fsck", "--full")).toBe("");
});

it("[GS16] goes on after a process that was killed in the middle: its scratch and git's locks are cleared", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  for (const stale of [`${repository}.work-abc123`, `${repository}.new-abc123`])
    mkdirSync(join(stale, "objects"), { recursive: true });
  for (const lock of ["packed-refs.lock", "refs/shim/cp1.lock", "objects/pack/tmp_pack_x"])
    writeFileSync(join(repository, lock), "");
  writeFileSync(`${repository}.lock`, GONE);
  expect(await take(from)).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
  expect(existsSync(join(repository, "packed-refs.lock"))).toBe(false);
  expect(readdirSync(join(repository, "objects/pack")).filter((name) => name.startsWith("tmp"))).toEqual([]);
});

it("[GS16] mends a repository that lost its HEAD, and keeps the snapshots in it", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const first = await taken(from);
  rmSync(join(first.repository, "HEAD"));
  write(from.project, { "b.txt": "two\n" });
  expect(paths(await taken(from, { checkpointId: "cp2" }))).toEqual(["a.txt", "b.txt"]);
  expect(paths(first)).toEqual(["a.txt"]);
});

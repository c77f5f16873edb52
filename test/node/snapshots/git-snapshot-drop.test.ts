import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dropSnapshots, type DropInput } from "#src/snapshots/drop-snapshots.ts";
import { git, HOST, LIMITS, makeProject, noise, paths, show, taken, write } from "#harness/machine/git-project.ts";

const MARK = "MARK-7f3a-forget-me";

function drop(repository: string, checkpointIds: readonly string[], more: Partial<DropInput> = {}) {
  return dropSnapshots({ ...HOST, repository, checkpointIds, timeoutMs: 60_000, ...more });
}

/** Everything that can be read from the repository, reachable or not, and the names of all its files. */
function readable(repository: string): string {
  const objects = git(repository, "cat-file", "--batch-all-objects", "--unordered", "--batch");
  const files = execFileSync("find", [repository], { encoding: "utf8" });
  return objects + files;
}

function packs(repository: string): string[] {
  return readdirSync(join(repository, "objects/pack")).filter((name) => name.endsWith(".pack"));
}

it("after a drop nothing of the snapshot can be read, and the others are whole @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "b\n" });
  await taken(from, { checkpointId: "keep1" });
  write(from.project, { "secretish.txt": `${MARK}\n`, "a.txt": "two\n", [`${MARK}.txt`]: "name\n" });
  const { repository } = await taken(from, { checkpointId: "gone" });
  rmSync(join(from.project, "secretish.txt"));
  rmSync(join(from.project, `${MARK}.txt`));
  const keep2 = await taken(from, { checkpointId: "keep2" });
  expect(readable(repository)).toContain(MARK);
  expect(await drop(repository, ["gone"])).toEqual({ ok: true, value: { left: 2 } });
  expect(readable(repository)).not.toContain(MARK);
  expect(git(repository, "fsck", "--full", "--strict")).toBe("");
  expect(paths(keep2)).toEqual(["a.txt", "b.txt"]);
  expect(show(keep2, "a.txt")).toBe("two\n");
});

it("the last drop removes the repository, and a snapshot after it starts anew @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  expect(await drop(repository, ["cp1"])).toEqual({ ok: true, value: { left: 0 } });
  expect(readdirSync(from.snapshots)).toEqual([]);
  expect(await drop(repository, ["cp1"])).toEqual({ ok: true, value: { left: 0 } });
  expect((await taken(from)).files).toBe(1);
});

it("a drop that failed says so, and its repeat finishes it @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  await taken(from, { checkpointId: "keep" });
  write(from.project, { "b.txt": `${MARK}\n` });
  const { repository } = await taken(from, { checkpointId: "gone" });
  git(repository, "update-ref", "-d", "refs/shim/gone");
  expect(await drop(repository, ["gone"], { signal: AbortSignal.abort() })).toMatchObject({
    ok: false,
    error: { code: "drop_failed", message: expect.stringContaining("try again") },
  });
  expect(readable(repository)).toContain(MARK);
  expect(await drop(repository, ["gone"])).toEqual({ ok: true, value: { left: 1 } });
  expect(readable(repository)).not.toContain(MARK);
});

it("an id that is not there changes nothing; a strange one is a bug @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository, commit } = await taken(from);
  const before = packs(repository);
  expect(await drop(repository, ["nobody", "nobody"])).toEqual({ ok: true, value: { left: 1 } });
  expect(packs(repository)).toEqual(before);
  expect(git(repository, "rev-parse", "refs/shim/cp1").trim()).toBe(commit);
  await expect(drop(repository, ["../heads"])).rejects.toThrow(/checkpoint id/);
});

it("snapshots that borrow from the project stay whole when others are dropped @night", async () => {
  const from = makeProject({ "large.bin": noise(1), "a.txt": "one\n" });
  const limits = { ...LIMITS, maxTotalBytes: 300 };
  await taken(from, { checkpointId: "gone", limits });
  write(from.project, { "b.txt": "b\n" });
  const kept = await taken(from, { checkpointId: "kept", limits });
  expect(kept.borrowed).toBe(1);
  expect(await drop(kept.repository, ["gone"])).toEqual({ ok: true, value: { left: 1 } });
  expect(show(kept, "b.txt")).toBe("b\n");
  expect(paths(kept)).toEqual(["a.txt", "b.txt", "large.bin"]);
});

it("leaves a pack with little garbage alone where that is allowed @night", async () => {
  const from = makeProject(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}.bin`, noise(i)])));
  const { repository } = await taken(from, { checkpointId: "old" });
  const bytes = (name: string) => statSync(join(repository, "objects/pack", name)).size;
  // That of the files; the other one holds the commit and the folders.
  const first = packs(repository).sort((a, b) => bytes(b) - bytes(a))[0] ?? "";
  rmSync(join(from.project, "f0.bin"));
  await taken(from, { checkpointId: "new" });
  await drop(repository, ["old"], { maxGarbage: 0.5 });
  expect(packs(repository)).toContain(first);
  await drop(repository, []);
  expect(packs(repository)).not.toContain(first);
  expect(git(repository, "fsck", "--full")).toBe("");
});

it("puts many packs together into one @night", { timeout: 240_000 }, async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository, commit } = await taken(from);
  // Packs as snapshots leave them, without the time of fifty snapshots.
  for (let i = 0; i < 52; i++) {
    const file = join(from.root, "blob");
    writeFileSync(file, noise(i));
    const id = git(repository, "hash-object", "-w", file).trim();
    const tree = execFileSync("git", ["-C", repository, "mktree"], {
      input: `100644 blob ${id}\tf\n`,
      encoding: "utf8",
    }).trim();
    const made = git(repository, "commit-tree", tree, "-m", "x").trim();
    git(repository, "update-ref", `refs/shim/m${i}`, made);
    execFileSync("git", ["-C", repository, "pack-objects", "-q", "objects/pack/pack"], {
      input: `${id}\n${tree}\n${made}\n`,
      cwd: repository,
      stdio: ["pipe", "ignore", "ignore"],
    });
    git(repository, "prune-packed", "-q");
  }
  expect(packs(repository).length).toBeGreaterThan(50);
  await drop(repository, ["m0"], { maxGarbage: 0.9 });
  expect(packs(repository)).toHaveLength(1);
  expect(git(repository, "fsck", "--full")).toBe("");
  expect(git(repository, "cat-file", "-t", commit)).toBe("commit\n");
  expect(statSync(repository).isDirectory() && existsSync(join(repository, "HEAD"))).toBe(true);
});

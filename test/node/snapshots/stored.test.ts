import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Trigger } from "#src/contract/checkpoint.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { identify, systemProcesses } from "#src/platform/processes.ts";
import { dropSnapshots, type DropInput } from "#src/snapshots/drop-snapshots.ts";
import type { SnapshotInput } from "#src/snapshots/repository.ts";
import { takeAwaited, takePending, dropMarked, isTooSlowForTurns } from "#src/snapshots/stored-snapshots.ts";
import { takeUnchanged } from "#src/snapshots/unchanged.ts";
import { pause, resume } from "#src/store/pause.ts";
import { snapshots } from "#src/store/session-tables.ts";
import { commitAll, git, GIT_ENV, HOST, LIMITS, makeProject, paths, show, T0 } from "#harness/machine/git-project.ts";
import { taken, withGit, write, type GitProject, fingerprint } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import * as fc from "fast-check";
import { clearForeseen, foreseeConflicts, type Forecast, type MadeSide } from "#src/snapshots/foresee-conflicts.ts";

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

it("after a drop nothing of the snapshot can be read, and the others are whole", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "b\n" });
  await taken(from, { checkpointId: "keep1" });
  write(from.project, { "secretish.txt": `${MARK}\n`, "a.txt": "two\n", [`${MARK}.txt`]: "name\n" });
  const { repository } = await taken(from, { checkpointId: "gone" });
  fs.rmSync(join(from.project, "secretish.txt"));
  fs.rmSync(join(from.project, `${MARK}.txt`));
  const keep2 = await taken(from, { checkpointId: "keep2" });
  expect(readable(repository)).toContain(MARK);
  expect(await drop(repository, ["gone"])).toEqual({ ok: true, value: { left: 2 } });
  expect(readable(repository)).not.toContain(MARK);
  expect(git(repository, "fsck", "--full", "--strict")).toBe("");
  expect(paths(keep2)).toEqual(["a.txt", "b.txt"]);
  expect(show(keep2, "a.txt")).toBe("two\n");
  // The newest that stays is known as such.
  expect((await taken(from, { checkpointId: "keep3", now: T0 + 1_000 })).commit).toBe(keep2.commit);
});

it("a drop that failed says so, its repeat finishes it, and the last one removes the repository", async () => {
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
  for (let n = 0; n < 2; n++) expect(await drop(repository, ["keep"])).toEqual({ ok: true, value: { left: 0 } });
  expect(fs.readdirSync(from.snapshots)).toEqual([]);
  expect(paths(await taken(from)).length).toBe(2);
});

type Rig = ReturnType<typeof aRig>;

function aRig() {
  const { project } = makeProject({ "a.txt": "one\n" });
  const runtime = { ...tempRuntime({ env: GIT_ENV }), processes: systemProcesses };
  const sighting = { id: "s1", client: "test", origin: "handle", project, owner: null, isAlive: true };
  runtime.store.write((sql) => sessions.recordSighting(sql, runtime.now(), sighting));
  return { runtime, project, never: new AbortController().signal };
}

function save(rig: Rig, nextStep: string, trigger: Trigger = "on_demand", sessionId = "s1"): string {
  const saved = capture(rig.runtime, { sessionId, trigger, notes: { nextStep } });
  if (!saved.ok) throw new Error(saved.error.code);
  return saved.value.checkpoint.id;
}

function rowOf({ runtime: { store } }: Rig, checkpointId: string) {
  return store.read((sql) => snapshots.find(sql, { checkpointId }), null);
}

it("what is not taken within a minute is given up with its reason, never taken late", async () => {
  const rig = aRig();
  const ids = [save(rig, "one"), save(rig, "two")] as const;
  const rows = (): unknown[] => ids.map((id) => rowOf(rig, id));
  rig.runtime.store.write((sql) => snapshots.update(sql, { checkpointId: ids[0] }, { state: "running" }));
  rig.runtime.wait(59_000);
  await takePending(rig.runtime, [], rig.never);
  expect(rows()).toMatchObject([{ state: "running" }, { state: "pending" }]);
  rig.runtime.wait(2_000);
  await takePending(rig.runtime, ["s1"], rig.never);
  const reason = "the host had ended, or had no time to save the files within a minute";
  expect(rows()).toMatchObject(ids.map(() => ({ state: "skipped", reason })));
});

it("one reading serves each checkpoint of the project that waits for it, also of other chats", async () => {
  const rig = aRig();
  const sighting = { id: "s2", client: "test", origin: "handle", project: rig.project, owner: null, isAlive: true };
  rig.runtime.store.write((sql) => sessions.recordSighting(sql, rig.runtime.now(), sighting));
  const ids = [save(rig, "one", "turn_end"), save(rig, "two"), save(rig, "three", "turn_end", "s2")];
  await takePending(rig.runtime, ["s1"], rig.never);
  const rows = ids.map((id) => rowOf(rig, id));
  expect(rows.map((row) => row?.state)).toEqual(["done", "done", "done"]);
  expect(new Set(rows.map((row) => row?.commit)).size).toBe(1);
  for (const id of ids)
    expect(git(rows[0]?.repository ?? "", "rev-parse", `refs/shim/${id}`).trim()).toBe(rows[0]?.commit);
  const last = save(rig, "four", "turn_end");
  save(rig, "five", "turn");
  await takeAwaited(rig.runtime);
  expect(rowOf(rig, last)?.state).toBe("done");
});

it("a snapshot that fails keeps its reason; one that is stopped, or falls into a pause, waits", async () => {
  const rig = aRig();
  const id = save(rig, "one");
  await takePending(rig.runtime, ["s1"], AbortSignal.abort());
  expect(rowOf(rig, id)?.state).toBe("pending");
  rig.runtime.store.write((sql) => pause(sql, rig.runtime.now(), null, null));
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)?.state).toBe("pending");
  rig.runtime.store.write((sql) => resume(sql, rig.runtime.now(), null));
  fs.writeFileSync(rig.runtime.paths.snapshots, "a file where the folder should be");
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)).toMatchObject({ state: "failed", reason: expect.stringMatching(/./) as string });
});

it("before a risky tool its hook takes the files, and the timer of the MCP process does not", async () => {
  const rig = aRig();
  const id = save(rig, "rm -rf build", "before_tool");
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, id)?.state).toBe("pending");
  await takeAwaited(rig.runtime);
  expect(rowOf(rig, id)?.state).toBe("done");
});

it("files of a checkpoint that was deleted meanwhile are dropped", async () => {
  const rig = aRig();
  const id = save(rig, "one");
  const taking = takePending(rig.runtime, ["s1"], rig.never);
  rig.runtime.store.write((sql) => forget(sql, { checkpoint: id }));
  await taking;
  const row = rowOf(rig, id);
  expect(row?.state).toBe("drop");
  expect(fs.existsSync(row?.repository ?? "")).toBe(true);
  expect(await dropMarked(rig.runtime, { maxGarbage: 0 })).toEqual({ dropped: 1, failures: [] });
  expect(rowOf(rig, id)).toBeNull();
  expect(fs.existsSync(row?.repository ?? "")).toBe(false);
});

it("files of a turn that were not saved before its tool ran are never saved later", async () => {
  const rig = aRig();
  const first = save(rig, "go on", "turn");
  rig.runtime.wait(1_000);
  const again = save(rig, "go on", "turn");
  expect(again).not.toBe(first);
  await takeAwaited(rig.runtime, 0);
  expect(rowOf(rig, again)?.state).toBe("failed");
  const { store, now } = rig.runtime;
  const isTooSlow = (): boolean => store.read((sql) => isTooSlowForTurns(sql, rig.project, now()), false);
  expect(isTooSlow()).toBe(true);
  const third = save(rig, "go on", "turn");
  rig.runtime.wait(13_000);
  await takeAwaited(rig.runtime);
  await takePending(rig.runtime, ["s1"], rig.never);
  expect(rowOf(rig, third)?.state).toBe("pending");
  rig.runtime.wait(3_600_000);
  expect(isTooSlow()).toBe(false);
});

const files = { "a.txt": "one\n", "d/b.txt": "two\n", ".gitignore": "*.log\nbuilt/\n" };

function inputOf({ project, snapshots }: GitProject, more: Partial<SnapshotInput> = {}): SnapshotInput {
  return { ...HOST, project, snapshots, checkpointId: "cp2", now: T0, limits: LIMITS, ...more };
}

/** A project with a snapshot, whose files are older than the look at them. */
async function aSeenProject() {
  const from = makeProject(files);
  write(from.project, { "new.txt": "new\n", "out.log": "ignored\n", "built/x": "ignored\n", ".env": "A=b\n" });
  await pastTheTick(from.project);
  const first = await taken(from);
  return { from, first, again: (input: Partial<SnapshotInput> = {}) => takeUnchanged(inputOf(from, input), "small") };
}

/** Waits until a change would have a later time than those before it. */
async function pastTheTick(folder: string): Promise<void> {
  const probe = join(folder, "..", "probe");
  fs.writeFileSync(probe, "");
  const { ctimeMs } = fs.statSync(probe);
  do {
    await new Promise(setImmediate);
    fs.utimesSync(probe, 1, 1);
  } while (fs.statSync(probe).ctimeMs <= ctimeMs + 40);
}

it("a checkpoint of an unchanged project gets the newest snapshot without git, and owns it", async () => {
  const { from, first, again } = await aSeenProject();
  const env = { ...HOST.env, PATH: "/nonexistent" };
  expect(await again()).toEqual(first);
  expect(await again({ checkpointId: "cp3", env })).toEqual(first);
  await drop(first.repository, ["cp1", "cp2"]);
  const references = git(first.repository, "for-each-ref", "--format=%(objectname) %(refname)").trim();
  expect(references).toBe(`${first.commit} refs/shim/cp3`);
  expect(git(first.repository, "fsck", "--full", "--strict")).toBe("");
  expect(git(from.project, "status", "--porcelain")).toBe("?? .env\n?? new.txt\n");
});

it("any change of a file, a setting, a branch or what is ignored needs git", async () => {
  const { from, first, again } = await aSeenProject();
  const { project } = from;
  const at = (path: string): string => join(project, path);
  const changes: Record<string, () => void> = {
    content: () => fs.writeFileSync(at("a.txt"), "two\n"),
    "same size and old time": () => {
      fs.writeFileSync(at("a.txt"), "ten\n");
      fs.utimesSync(at("a.txt"), 1, 1);
    },
    "new file": () => fs.writeFileSync(at("d/c.txt"), ""),
    deleted: () => fs.rmSync(at("d/c.txt")),
    renamed: () => fs.renameSync(at("new.txt"), at("newer.txt")),
    mode: () => fs.chmodSync(at("a.txt"), 0o755),
    link: () => fs.symlinkSync("a.txt", at("link")),
    "new ignored file": () => fs.writeFileSync(at("other.log"), ""),
    "new file in an ignored folder": () => fs.writeFileSync(at("built/y"), ""),
    "deleted ignored file": () => fs.rmSync(at("out.log")),
    secret: () => fs.appendFileSync(at(".env"), "C=d\n"),
    index: () => git(project, "add", "newer.txt"),
    commit: () => commitAll(project, "second"),
    branch: () => git(project, "checkout", "-q", "-b", "other"),
    setting: () => git(project, "config", "core.autocrlf", "true"),
    "rule of this clone": () => fs.writeFileSync(at(".git/info/exclude"), "newer.txt\n"),
  };
  const seen: string[] = [];
  for (const [name, change] of Object.entries(changes)) {
    await pastTheTick(project);
    change();
    if ((await again()) === null) seen.push(name);
    await pastTheTick(project);
    const next = await taken(from);
    expect(await again()).toEqual(next);
  }
  expect(seen).toEqual(Object.keys(changes));
  expect(paths(first).length).toBe(4);
});

it("other limits, another environment and another project of the same repository need git", async () => {
  const { from, again } = await aSeenProject();
  expect(await again({ limits: { ...LIMITS, maxFileBytes: 3 } })).toBeNull();
  expect(await again({ env: { ...HOST.env, XDG_CONFIG_HOME: "/other" } })).toBeNull();
  expect(await again({ project: join(from.project, "d") })).toBeNull();
  expect(await again({ project: join(from.root, "gone") })).toBeNull();
  expect(await again()).not.toBeNull();
});

it("a file that changes while git looks is not taken for one of the snapshot", async () => {
  const from = makeProject(files);
  await pastTheTick(from.project);
  const edit = `case "$*" in *write-tree*) echo edited > ${join(from.project, "a.txt")};; esac; exec $GIT "$@"`;
  const first = await taken(from, { env: withGit(from, edit) });
  expect(git(first.repository, "show", `${first.commit}:a.txt`)).toBe("one\n");
  expect(await takeUnchanged(inputOf(from, { env: withGit(from, edit) }), "small")).toBeNull();
});

it("who works on the repository has its lock: others wait for it, and stop when the caller says so", async () => {
  const { from, first, again } = await aSeenProject();
  fs.writeFileSync(`${first.repository}.lock`, JSON.stringify(identify(HOST.processes, process.pid)));
  expect(await again({ limits: { ...LIMITS, timeoutMs: 60 } })).toBeNull();
  const stopped = { state: "failed", reason: "stopped before it was done" };
  expect(await again({ signal: AbortSignal.timeout(60) })).toEqual(stopped);
  expect(fs.existsSync(join(first.repository, "refs/shim/cp2"))).toBe(false);
  fs.rmSync(`${first.repository}.lock`);
  const seen = join(from.root, "seen");
  const look = `case "$*" in *pack-objects*) ls ${first.repository}.lock >> ${seen} 2>&1;; esac; exec $GIT "$@"`;
  write(from.project, { "a.txt": "two\n" });
  await taken(from, { env: withGit(from, look), checkpointId: "cp3" });
  expect(fs.readFileSync(seen, "utf8")).toMatch(/^(\S+\.lock\n)+$/);
});

it("a folder outside git, of so many files at most, until a repository is made around it", async () => {
  const from = makeProject();
  const project = join(from.root, "plain");
  write(project, { "a.txt": "one\n", "b/c.txt": "c\n", "node_modules/m/index.js": "m\n" });
  await pastTheTick(project);
  const plain = { ...from, project };
  const tooMany = taken(plain, { limits: { ...LIMITS, maxPlainFiles: 3 } });
  await expect(tooMany).rejects.toThrow("not in a git repository and holds more than 3 files");
  expect(paths(await taken(plain, { limits: { ...LIMITS, maxPlainFiles: 4 } })).length).toBe(2);
  const first = await taken(plain);
  expect(await takeUnchanged(inputOf(plain), "small")).toEqual(first);
  write(project, { "node_modules/n/index.js": "n\n" });
  expect(await takeUnchanged(inputOf(plain), "small")).toEqual(first);
  git(from.root, "init", "-q");
  expect(await takeUnchanged(inputOf(plain), "small")).toBeNull();
});

const lines = (count: number): string => Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join("");

/** A project with a second work tree on a branch of its own. */
function twoTrees(files: Record<string, string>): GitProject & { readonly other: string } {
  const from = makeProject(files);
  const other = join(from.root, "other");
  git(from.project, "worktree", "add", "--quiet", "-b", "other", other);
  return { ...from, other };
}

function foresee({ snapshots }: GitProject, sides: readonly (string | MadeSide)[]): Promise<Forecast> {
  const keep = sides.flatMap((one) => (typeof one === "string" ? [] : [one.scratch]));
  const given = sides.map((one) =>
    typeof one === "string" ? { name: one, last: null, isSame: false } : { name: one.name, last: one, isSame: true },
  );
  return foreseeConflicts({ ...HOST, sides: given, keep, snapshots, limits: LIMITS, timeoutMs: 60_000, now: T0 });
}

it("merges uncommitted files of two work trees, and writes into no project", async () => {
  const from = twoTrees({ "src/a.ts": lines(30), "b.ts": lines(9) });
  write(from.project, { "src/a.ts": lines(30).replace("line 12\n", "one\ntwo\n"), "free.ts": "x\n" });
  write(from.other, { "src/a.ts": `new\n${lines(30).replace("line 12\n", "three\n")}`, "b.ts": "changed\n" });
  const before = fingerprint(join(from.project, ".git"));
  const names = [from.project, from.other];
  const conflicts = [{ path: "src/a.ts", did: ["changed", "changed"], lines: ["12-13", "13"] }];
  expect(await foresee(from, names)).toMatchObject({ problems: [], pairs: [{ names, conflicts }] });
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("takes a side as it was made, and reads the files where that is gone; of older looks nothing stays", async () => {
  const from = twoTrees({ "a.txt": lines(9) });
  write(from.project, { "a.txt": "mine\n" });
  const { sides } = await foresee(from, [from.project, from.other]);
  const made = sides[0]!;
  write(from.project, { "a.txt": lines(9) });
  write(from.other, { "a.txt": "theirs\n" });
  const paths = async (side: string | MadeSide): Promise<unknown> => {
    const { pairs } = await foresee(from, [side, from.other]);
    return pairs.map(({ conflicts }) => conflicts.map(({ path }) => path));
  };
  expect(await paths(made)).toEqual([["a.txt"]]);
  expect(fs.existsSync(sides[1]?.scratch ?? "")).toBe(false);
  fs.rmSync(made.scratch, { recursive: true });
  expect(await paths(made)).toEqual([[]]);
  await clearForeseen(from.snapshots, []);
  expect(fs.readdirSync(join(from.snapshots, "foreseen.work"))).toEqual([]);
});

it("merges from the common commit of the two HEADs, and names what each did to a file", async () => {
  const from = twoTrees({ "both.txt": lines(9), "gone.txt": lines(9), "old.txt": "x\n" });
  write(from.other, { "both.txt": "committed\n", "new.txt": "theirs\n" });
  fs.rmSync(join(from.other, "gone.txt"));
  commitAll(from.other, "theirs");
  write(from.project, { "both.txt": "mine\n", "new.txt": "mine\n", "gone.txt": `${lines(9)}more\n`, "old.txt": "y\n" });
  const { pairs, sides } = await foresee(from, [from.project, from.other]);
  expect(pairs[0]?.conflicts.map(({ path, did }) => [path, did])).toEqual([
    ["both.txt", ["changed", "changed"]],
    ["gone.txt", ["changed", "deleted"]],
    ["new.txt", ["added", "added"]],
  ]);
  expect((await foresee(from, sides)).pairs).toEqual([]);
});

it("merges as the attributes of a work tree say, and leaves out what has no commit", async () => {
  const from = twoTrees({ ".gitattributes": "log.txt merge=union\n", "log.txt": "first\n" });
  write(from.project, { "log.txt": "first\nmine\n" });
  write(from.other, { "log.txt": "first\ntheirs\n" });
  const empty = makeProject();
  const { pairs, problems } = await foresee(from, [from.project, from.other, empty.project]);
  expect(pairs).toMatchObject([{ conflicts: [] }]);
  expect(problems).toEqual([`${empty.project}: it has no commit yet`]);
});

it("foresees exactly the files that git merge cannot merge, with lines in which each changed @night", async () => {
  const from = twoTrees({ "a.txt": lines(12) });
  const base = git(from.project, "rev-parse", "HEAD").trim();
  const line = fc.constantFrom("same", "left", "right");
  const edits = fc.array(fc.tuple(fc.nat(11), line), { maxLength: 4 });
  const edited = (changes: readonly (readonly [number, string])[]): string => {
    const text = lines(12).split("\n");
    for (const [at, word] of changes) text[at] = word;
    return text.join("\n");
  };
  const property = fc.asyncProperty(edits, edits, async (left, right) => {
    fs.writeFileSync(join(from.project, "a.txt"), edited(left));
    fs.writeFileSync(join(from.other, "a.txt"), edited(right));
    const found = (await foresee(from, [from.project, from.other])).pairs[0]?.conflicts ?? [];
    for (const folder of [from.project, from.other]) commitAll(folder, "final");
    expect(found.length > 0).toBe(!merges(from.project));
    for (const { lines: named } of found) for (const one of named) expect(one).toMatch(/^\d+/);
    for (const folder of [from.project, from.other]) git(folder, "reset", "--quiet", "--hard", base);
  });
  await fc.assert(property, { numRuns: 40 });
});

function merges(project: string): boolean {
  try {
    git(project, "merge", "--quiet", "--no-edit", "other");
    return true;
  } catch {
    git(project, "merge", "--abort");
    return false;
  }
}

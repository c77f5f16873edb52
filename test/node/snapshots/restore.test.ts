import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { displayPath } from "#src/snapshots/git.ts";
import { makeBundle, type BundleResult } from "#src/snapshots/make-bundle.ts";
import type { DoneSnapshot } from "#src/snapshots/repository.ts";
import { restoreFiles, type RestoreResult } from "#src/snapshots/restore-files.ts";
import type { Result } from "#src/shared/result.ts";
import type { ReplacedFiles } from "#src/snapshots/replace-files.ts";
import { undoFiles, writePlanned } from "#src/snapshots/undo-files.ts";
import type { UndoStep } from "#src/snapshots/undo-history.ts";
import { restoreWorktree } from "#src/snapshots/worktrees.ts";
import { commitAll, contents, edit, fingerprint, git, GIT_ENV, HOST, LIMITS } from "#harness/machine/git-project.ts";
import { makeProject, noise, purge, snapshotOf, T0, taken, temporaryFolder } from "#harness/machine/git-project.ts";
import { withGit, write, type Edit, type GitProject } from "#harness/machine/git-project.ts";

const timeoutMs = 60_000;
const smallFiles = { ...LIMITS, maxFileBytes: 2_000 };
const files = { "b.txt": "b\n", "d/c": "c\n", ".gitignore": "*.log\n", big: Buffer.alloc(3_000, "y") };

function restore({ repository, commit }: Pick<DoneSnapshot, "repository" | "commit">, into: string) {
  return restoreFiles({ ...HOST, repository, commit, into, timeoutMs });
}

async function restored(snapshot: DoneSnapshot, into: string): Promise<RestoreResult> {
  const result = await restore(snapshot, into);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

it("takes an empty folder, and refuses one with files, a file, a link, and a snapshot that is not there", async () => {
  const { from, snapshot } = await snapshotOf({ "a.txt": "one\n" });
  const empty = join(from.root, "empty");
  mkdirSync(empty);
  expect((await restored(snapshot, empty)).written).toEqual(["a.txt"]);
  write(from.root, { "file.txt": "mine\n" });
  symlinkSync(from.project, join(from.root, "to-project"));
  const before = contents(from.root, () => false);
  for (const into of [empty, from.project, join(from.root, "file.txt"), join(from.root, "to-project")]) {
    expect(await restore(snapshot, into)).toMatchObject({ ok: false, error: { code: "folder_not_empty" } });
  }
  for (const missing of [{ commit: "0".repeat(40) }, { commit: "--help" }, { repository: join(from.root, "no.git") }])
    expect(refusalOf(await restore({ ...snapshot, ...missing }, join(from.root, "into"))).code).toBe(
      "snapshot_missing",
    );
  expect(contents(from.root, () => false)).toEqual(before);
});

it("names exactly the borrowed files that the project has lost, and brings the rest", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  git(from.project, "checkout", "--quiet", "-b", "topic");
  write(from.project, { "large.bin": noise(3), "d/large too.bin": noise(7), "small.txt": "s\n" });
  commitAll(from.project, "topic");
  write(from.project, { "new.txt": "new\n" });
  const snapshot = await taken(from, { limits: { ...LIMITS, maxTotalBytes: 300 } });
  expect(snapshot.borrowed).toBe(2);
  const whole = join(from.root, "whole");
  expect((await restored(snapshot, whole)).notRestored).toEqual([]);
  expect(contents(whole)).toEqual(contents(from.project));
  rmSync(join(from.project, "new.txt"));
  git(from.project, "checkout", "--quiet", "main");
  git(from.project, "branch", "--quiet", "-D", "topic");
  purge(from.project);
  const into = join(from.root, "into");
  const result = await restored(snapshot, into);
  expect(result.notRestored.map(({ path }) => path)).toEqual(["d/large too.bin", "large.bin"]);
  expect(result.notRestored[0]?.reason).toContain("project's own objects");
  expect(Object.keys(contents(into))).toEqual(["a.txt", "new.txt", "small.txt"]);
});

function placeOf({ root }: GitProject, name: string) {
  return { folder: join(root, "work", name, "project"), branch: `shim/${name}` };
}

function fork(
  from: GitProject,
  { repository, commit, head }: DoneSnapshot,
  name = "fork-1",
): Promise<Result<RestoreResult>> {
  mkdirSync(join(from.root, "work", name), { recursive: true });
  const place = placeOf(from, name);
  return restoreWorktree({ ...HOST, timeoutMs, project: from.project, repository, commit, head, ...place });
}

/** Tree id of all files of a worktree, in an index of its own. */
function treeOf({ root }: GitProject, folder: string): string {
  const env = { ...GIT_ENV, GIT_INDEX_FILE: join(root, "scratch-index") };
  const run = (...args: string[]): string => execFileSync("git", ["-C", folder, ...args], { env, encoding: "utf8" });
  run("read-tree", "HEAD");
  run("add", "--all", ".");
  const tree = run("write-tree").trim();
  rmSync(env.GIT_INDEX_FILE);
  return tree;
}

/** What a fork must not touch. */
function untouched({ project }: GitProject): unknown {
  const status = git(project, "status", "--porcelain");
  return [readFileSync(join(project, ".git/HEAD"), "utf8"), readFileSync(join(project, ".git/index")), status];
}

/** A fork has the snapshot's tree at its HEAD, or is none where the history has purged that. */
async function expectFork(from: GitProject, cut: DoneSnapshot, name: string): Promise<void> {
  const made = await fork(from, cut, name);
  const { folder, branch } = placeOf(from, name);
  if (!made.ok && made.error.code === "commit_missing") {
    expect(existsSync(folder)).toBe(false);
    return;
  }
  expect(made).toMatchObject({ ok: true, value: { notRestored: [] } });
  expect(treeOf(from, folder)).toBe(git(cut.repository, "rev-parse", `${cut.commit}^{tree}`).trim());
  expect(git(folder, "rev-parse", "HEAD").trim()).toBe(cut.head);
  expect(git(folder, "diff", "--cached", "--name-only")).toBe("");
  expect(git(folder, "symbolic-ref", "--short", "HEAD").trim()).toBe(branch);
}

/** The last snapshot of a project that is gone has its files, but for those it names as left out. */
async function expectBack(from: GitProject, snapshot: DoneSnapshot): Promise<void> {
  const work = contents(from.project);
  rmSync(join(from.project, ".git"), { recursive: true });
  const into = join(from.root, "into");
  expect((await restored(snapshot, into)).notRestored).toEqual([]);
  const leftOut = new Set(snapshot.leftOut.map(({ path }) => path));
  const isExpected = ([path]: [string, string]) => !leftOut.has(displayPath(path));
  const expected = Object.entries(work).filter((each) => isExpected(each) && !each[0].endsWith(".log"));
  expect(Object.fromEntries(Object.entries(contents(into)).filter(isExpected))).toEqual(Object.fromEntries(expected));
  for (const path of leftOut) {
    const isSecret = path === ".env" || path === "k.pem";
    expect(isSecret || statSync(join(from.project, path)).size > smallFiles.maxFileBytes).toBe(true);
  }
}

async function comesBack(steps: readonly (readonly [Edit, isCut: boolean])[]): Promise<void> {
  const from = makeProject(files);
  try {
    const cuts: DoneSnapshot[] = [];
    for (const [index, [edit, isCut]] of steps.entries()) {
      edit(from);
      if (!isCut && index < steps.length - 1) continue;
      cuts.push(await taken(from, { checkpointId: `cp${index}`, limits: smallFiles }));
    }
    const before = untouched(from);
    for (const [index, cut] of cuts.entries()) await expectFork(from, cut, `fork-${index}`);
    expect(untouched(from)).toEqual(before);
    for (const last of cuts.slice(-1)) await expectBack(from, last);
  } finally {
    rmSync(from.root, { recursive: true, force: true });
  }
}

const histories = (runs: number, maxLength: number): Promise<void> => {
  const steps = fc.array(fc.tuple(edit, fc.boolean()), { minLength: 1, maxLength });
  return fc.assert(fc.asyncProperty(steps, comesBack), { numRuns: runs });
};

it(
  "any sequence of edits comes back byte for byte, but for what is named as left out; a fork has the snapshot's tree, and the project stays as it is",
  { timeout: 240_000 },
  () => histories(3, 4),
);

it("the same of many histories @night", { timeout: 600_000 }, () =>
  histories(Number(process.env["SHIM_RESTORED_EDITS"] ?? 30), 12),
);

it("a commit that is gone, a taken branch and a git that fails leave neither folder nor branch", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  commitAll(from.project, "second");
  const snapshot = await taken(from);
  const { folder } = placeOf(from, "fork-1");
  const all = (): unknown => [git(from.project, "branch", "--list", "shim/*"), git(from.project, "worktree", "list")];
  const before = all();
  git(from.project, "branch", "shim/fork-2");
  expect(await fork(from, snapshot, "fork-2")).toMatchObject({ error: { code: "branch_exists" } });
  git(from.project, "branch", "-D", "shim/fork-2");
  const env = withGit(from, 'for word; do [ "$word" = checkout-index ] && exit 3; done; exec $GIT "$@"');
  const { repository, commit, head } = snapshot;
  const place = placeOf(from, "fork-1");
  const input = { ...HOST, timeoutMs, project: from.project, repository, commit, head, ...place };
  expect(await restoreWorktree({ ...input, env })).toMatchObject({ error: { code: "restore_failed" } });
  expect([all(), existsSync(folder)]).toEqual([before, false]);
  expect(await restoreWorktree({ ...input, head: null })).toMatchObject({ error: { code: "commit_missing" } });
  git(from.project, "reset", "-q", "--hard", "HEAD~1");
  purge(from.project);
  const named = expect.stringContaining(head!) as string;
  expect(await restoreWorktree(input)).toMatchObject({ error: { code: "commit_missing", message: named } });
  const own = fingerprint(join(from.project, ".git"));
  expect(await restoreWorktree({ ...input, project: from.root })).toMatchObject({ error: { code: "not_a_work_tree" } });
  expect([fingerprint(join(from.project, ".git")), existsSync(folder)]).toEqual([own, false]);
});

type Made = Extract<BundleResult, { state: "made" }>;

/** A project with a remote, and a clone of that on another machine. */
function twoClones(files: Record<string, string | Buffer>): { there: GitProject; here: GitProject } {
  const there = makeProject(files);
  const origin = join(there.root, "origin.git");
  git(there.root, "clone", "-q", "--bare", there.project, origin);
  git(there.project, "remote", "add", "origin", origin);
  git(there.project, "fetch", "-q", "origin");
  const root = temporaryFolder();
  const project = join(root, "project");
  git(root, "clone", "-q", origin, project);
  return { there, here: { root, project, snapshots: join(root, "home", "snapshots") } };
}

async function made(from: GitProject, snapshot: DoneSnapshot, maxBytes = 8_388_608): Promise<Made> {
  const { repository, commit, head } = snapshot;
  const { project, snapshots } = from;
  const limits = { maxBytes, timeoutMs: 60_000, signal: new AbortController().signal };
  const bundle = await makeBundle({ env: GIT_ENV, snapshots, repository, commit, head, project, now: T0, ...limits });
  if (bundle.state !== "made") throw new Error(JSON.stringify(bundle));
  return bundle;
}

function received(
  here: GitProject,
  snapshot: DoneSnapshot,
  { bytes, needs }: Pick<Made, "bytes" | "needs">,
  into: string = join(here.root, "restored"),
): Promise<Result<RestoreResult>> {
  const { project, snapshots } = here;
  const { commit } = snapshot;
  return restoreFiles({ ...HOST, project, snapshots, commit, bundle: bytes, needs, into, timeoutMs: 60_000 });
}

function refusalOf(outcome: Result<RestoreResult>): { code: string; message: string } {
  if (outcome.ok) throw new Error("it was restored");
  return outcome.error;
}

it("the uncommitted files of a project are restored in a clone of it, byte for byte; commits that were not pushed come by their files alone", async () => {
  const large = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at * 31) % 251));
  const { there, here } = twoClones({ "a.txt": "a\n", "gone.txt": "gone\n", "large.bin": large });
  const pushed = git(there.project, "rev-parse", "HEAD").trim();
  write(there.project, { "a.txt": "second\n", "noise.bin": randomBytes(60_000) });
  commitAll(there.project, "second");
  rmSync(join(there.project, "noise.bin"));
  write(there.project, { "c.txt": "third\n" });
  commitAll(there.project, "third");
  rmSync(join(there.project, "gone.txt"));
  write(there.project, { "a.txt": "changed\n", "new/b\nc.txt": "new\n", "run.sh": "#!/bin/sh\n" });
  chmodSync(join(there.project, "run.sh"), 0o755);
  symlinkSync("a.txt", join(there.project, "link"));
  const snapshot = await taken(there);
  const before = fingerprint(join(there.project, ".git"));
  const bundle = await made(there, snapshot);
  expect(fingerprint(join(there.project, ".git"))).toEqual(before);
  expect(readdirSync(there.snapshots)).toHaveLength(1);
  // What the clone has is not in it, nor what was committed in between.
  expect(bundle.bytes.length).toBeLessThan(3_000);
  expect(bundle.needs).toEqual([pushed]);
  const [atHome, work] = [fingerprint(join(here.project, ".git")), contents(here.project)];
  expect(await received(here, snapshot, bundle)).toMatchObject({ ok: true, value: { notRestored: [] } });
  expect(contents(join(here.root, "restored"))).toEqual(contents(there.project));
  expect([fingerprint(join(here.project, ".git")), contents(here.project)]).toEqual([atHome, work]);
  // Nothing of it stays in SHIM's folder.
  const [repository = ""] = readdirSync(here.snapshots);
  expect(readdirSync(here.snapshots)).toEqual([repository]);
  expect(git(join(here.snapshots, repository), "count-objects", "-v")).toMatch(/count: 0\n[^]*in-pack: 0\n/);
  // The care of every restore.
  expect(refusalOf(await received(here, snapshot, bundle, here.project)).code).toBe("folder_not_empty");
});

it("without the commit it is based on a bundle is refused: the commit is named, and nothing is written", async () => {
  const { there, here } = twoClones({ "a.txt": "a\n" });
  write(there.project, { "a.txt": "second\n" });
  commitAll(there.project, "second");
  git(there.project, "push", "-q", "origin", "main");
  write(there.project, { "a.txt": "not committed\n" });
  const snapshot = await taken(there);
  const bundle = await made(there, snapshot);
  const { code, message } = refusalOf(await received(here, snapshot, bundle));
  expect([code, message]).toEqual(["commit_missing", expect.stringContaining(snapshot.head ?? "no head")]);
  expect(message).toContain("git fetch");
  expect(existsSync(join(here.root, "restored"))).toBe(false);
  git(here.project, "fetch", "-q");
  expect(await received(here, snapshot, bundle)).toMatchObject({ ok: true });
});

it("a bundle that was cut or changed, or names what is not in it, is refused, and nothing is written", async () => {
  const { there, here } = twoClones({ "a.txt": "a\n" });
  write(there.project, { "b.txt": "b\n".repeat(5_000) });
  const snapshot = await taken(there);
  const { bytes, needs } = await made(there, snapshot);
  const changed = Buffer.from(bytes);
  changed[bytes.length - 40] = (changed[bytes.length - 40] ?? 0) ^ 1;
  for (const bad of [bytes.subarray(0, -10), bytes.subarray(0, 30), changed, Buffer.from("no bundle\n\n")])
    expect(["bundle_unusable", "restore_failed"]).toContain(
      refusalOf(await received(here, snapshot, { bytes: bad, needs })).code,
    );
  const other = { ...snapshot, commit: "0".repeat(40) };
  expect(refusalOf(await received(here, other, { bytes, needs })).code).toBe("snapshot_missing");
  expect(refusalOf(await received(here, snapshot, { bytes, needs: ["--output=/tmp/x"] })).code).toBe("bundle_unusable");
  expect(existsSync(join(here.root, "restored"))).toBe(false);
  expect(readdirSync(here.snapshots)).toHaveLength(1);
});

it("settings that a snapshot of another machine brings run no command and name no file", async () => {
  const { there, here } = twoClones({ "a.txt": "a\n" });
  write(there.project, { ".gitattributes": "*.txt filter=evil\n", "a.txt": "changed\n" });
  const snapshot = await taken(there);
  const mark = join(here.root, "ran");
  const settings = [`filter.evil.smudge=touch ${mark}`, `core.fsmonitor=touch ${mark}`, "core.eol=lf"];
  const message = `Work\n\n${JSON.stringify({ head: "--help", branch: null, settings })}\n`;
  const commit = git(snapshot.repository, "commit-tree", `${snapshot.commit}^{tree}`, "-m", message).trim();
  const evil = { ...snapshot, commit };
  expect(await received(here, evil, await made(there, evil))).toMatchObject({ ok: true });
  expect(existsSync(mark)).toBe(false);
});

const names = ["a.txt", "d/b.c", "c.dat", "e.utf"];
const ends = ["\n", "\r\n", "\r"];
const words = ["one", "", "$Id$", `$Id: ${"0123456789".repeat(4)} $`, "\0", "é", "version https://git-lfs"];
const endings = ["text=auto", "text=auto eol=crlf", "text eol=crlf", "text eol=lf", "eol=crlf", "crlf=input", "-text"];
const filters = ["ident", "filter=lfs diff=lfs merge=lfs -text", "working-tree-encoding=UTF-16"];

const content = fc
  .array(fc.tuple(fc.constantFrom(...words), fc.constantFrom(...ends)), { minLength: 1, maxLength: 6 })
  .map((lines) => lines.flat().join(""));
const texts = fc.dictionary(fc.constantFrom(...names), content, { minKeys: 1 });
const pattern = fc.constantFrom("*", "*.txt", "*.c", "*.dat", "*.utf");
const attributes = fc
  .array(fc.tuple(pattern, fc.constantFrom(...endings, ...filters)), { maxLength: 4 })
  .map((lines) => lines.map((line) => `${line.join(" ")}\n`).join(""));

const step = { unsaved: null, edited: [], isOnlyEdited: false, images: [], beganAt: 0, calls: [] };

const conversions = fc.record({
  autocrlf: fc.constantFrom("false", "true", "input"),
  attributes,
  inClone: attributes,
  committed: texts,
  edited: texts,
  changed: texts,
  isAdded: fc.boolean(),
});
type Conversion = typeof conversions extends fc.Arbitrary<infer T> ? T : never;

async function isKept(how: Conversion): Promise<void> {
  const from = makeProject({ "first.txt": "first\n" });
  const { project, root } = from;
  for (const [key, value] of Object.entries({ "core.autocrlf": how.autocrlf, "core.safecrlf": "false" }))
    git(project, "config", key, value);
  write(project, { ".gitattributes": how.attributes, ".git/info/attributes": how.inClone, ...how.committed });
  tolerated(() => commitAll(project, "converted"));
  write(project, how.edited);
  if (how.isAdded) tolerated(() => git(project, "add", "-A"));
  const before = contents(project);
  const first = await taken(from, { checkpointId: "first" });
  write(project, how.changed);
  const after = contents(project);
  const second = await taken(from, { checkpointId: "second" });
  expect([first.leftOut, second.leftOut]).toEqual([[], []]);
  for (const [name, snapshot] of Object.entries({ first, second })) {
    await restored(snapshot, join(root, name));
    expect(contents(join(root, name))).toEqual(name === "first" ? before : after);
  }
  expect(await fork(from, first)).toMatchObject({ ok: true });
  expect(contents(placeOf(from, "fork-1").folder)).toEqual(before);
  const turn = { ...step, start: first.commit, end: { commit: second.commit, readAt: T0, isInTime: true } };
  expect(await undo(from, turn)).toMatchObject({ value: { notRestored: [] } });
  expect(contents(project)).toEqual(before);
  rmSync(root, { recursive: true, force: true });
}

it(
  "whatever git converts, a snapshot, a fork and an undo have the bytes of the work tree @night",
  { timeout: 240_000 },
  () => fc.assert(fc.asyncProperty(conversions, isKept), { numRuns: 12 }),
);

/** Git does not take every content in another encoding. */
function tolerated(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(String(error)).toMatch(/failed to encode|encoding|BOM/);
  }
}

async function undo({ project, snapshots }: GitProject, step: UndoStep): Promise<Result<ReplacedFiles>> {
  const input = { ...HOST, project, snapshots, checkpointId: "undo", now: T0, limits: LIMITS, contents: [] };
  const what = { steps: [step], others: [], isClockRight: false };
  const done = await undoFiles({ ...input, what, chosen: [], how: "save" });
  return done.ok ? writePlanned({ ...input, changes: done.value.planned?.changes ?? [] }) : done;
}

it("a file whose line endings alone have changed comes back, which git calls unchanged", async () => {
  const from = makeProject({ "a.txt": "one\ntwo\n", "b.txt": "b\n" });
  const { project } = from;
  git(project, "config", "core.autocrlf", "true");
  write(project, { "a.txt": "one\r\ntwo\r\n" });
  git(project, "add", "-A");
  expect(git(project, "status", "--porcelain")).toBe("");
  const { commit } = await taken(from, { checkpointId: "first" });
  write(project, { "a.txt": "one\ntwo\n" });
  const { commit: end } = await taken(from, { checkpointId: "second" });
  const turn = { ...step, start: commit, end: { commit: end, readAt: T0, isInTime: true } };
  expect(await undo(from, turn)).toMatchObject({ value: { written: [{ path: "a.txt" }], notRestored: [] } });
  expect(readFileSync(join(project, "a.txt"), "utf8")).toBe("one\r\ntwo\r\n");
});

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readdirSync, rmSync, symlinkSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { makeBundle, type BundleResult } from "#src/snapshots/make-bundle.ts";
import {
  restoreReceived,
  type RestoreOutcome,
  type RestoreReceivedInput,
  restoreFiles,
} from "#src/snapshots/restore-files.ts";
import { restoreWorktree } from "#src/snapshots/worktrees.ts";
import type { DoneSnapshot } from "#src/snapshots/repository.ts";
import { undoFiles, type UndoInput } from "#src/snapshots/undo-files.ts";
import {
  commitAll,
  contents,
  fingerprint,
  git,
  GIT_ENV,
  HOST,
  makeProject,
  T0,
  taken,
  temporaryFolder,
  write,
  type GitProject,
  LIMITS,
} from "#harness/machine/git-project.ts";

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
  into: RestoreReceivedInput["into"] = join(here.root, "restored"),
): Promise<RestoreOutcome> {
  const { project, snapshots } = here;
  const { commit } = snapshot;
  return restoreReceived({ ...HOST, project, snapshots, commit, bundle: bytes, needs, into, timeoutMs: 60_000 });
}

function refusalOf(outcome: RestoreOutcome): { code: string; message: string } {
  if (outcome.ok) throw new Error("it was restored");
  return outcome.error;
}

it("the uncommitted files of a project are restored in a clone of it, byte for byte @night", async () => {
  const large = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * at * 31) % 251));
  const { there, here } = twoClones({ "a.txt": "a\n", "gone.txt": "gone\n", "large.bin": large });
  rmSync(join(there.project, "gone.txt"));
  write(there.project, { "a.txt": "changed\n", "new/b\nc.txt": "new\n", "run.sh": "#!/bin/sh\n" });
  chmodSync(join(there.project, "run.sh"), 0o755);
  symlinkSync("a.txt", join(there.project, "link"));
  const snapshot = await taken(there);
  const before = fingerprint(join(there.project, ".git"));
  const bundle = await made(there, snapshot);
  expect(fingerprint(join(there.project, ".git"))).toEqual(before);
  expect(readdirSync(there.snapshots)).toHaveLength(1);
  // What the clone has is not in it.
  expect(bundle.bytes.length).toBeLessThan(3_000);
  expect(bundle.needs).toEqual([snapshot.head]);
  const [atHome, work] = [fingerprint(join(here.project, ".git")), contents(here.project)];
  expect(await received(here, snapshot, bundle)).toMatchObject({ ok: true, value: { notRestored: [] } });
  expect(contents(join(here.root, "restored"))).toEqual(contents(there.project));
  expect([fingerprint(join(here.project, ".git")), contents(here.project)]).toEqual([atHome, work]);
  // Nothing of it stays in SHIM's folder.
  const [repository = ""] = readdirSync(here.snapshots);
  expect(readdirSync(here.snapshots)).toEqual([repository]);
  expect(git(join(here.snapshots, repository), "count-objects", "-v")).toMatch(/count: 0\n[^]*in-pack: 0\n/);
});

it("commits that were not pushed are no part of a bundle but by their files @night", async () => {
  const { there, here } = twoClones({ "a.txt": "a\n" });
  const pushed = git(there.project, "rev-parse", "HEAD").trim();
  write(there.project, { "a.txt": "second\n", "noise.bin": randomBytes(60_000) });
  commitAll(there.project, "second");
  rmSync(join(there.project, "noise.bin"));
  write(there.project, { "c.txt": "third\n" });
  commitAll(there.project, "third");
  write(there.project, { "a.txt": "not committed\n" });
  const snapshot = await taken(there);
  const bundle = await made(there, snapshot, 20_000);
  expect(bundle.needs).toEqual([pushed]);
  expect(await received(here, snapshot, bundle)).toMatchObject({ ok: true });
  expect(contents(join(here.root, "restored"))).toEqual(contents(there.project));
  // The care of every restore.
  expect(refusalOf(await received(here, snapshot, bundle, here.project)).code).toBe("folder_not_empty");
});

it("without the commit it is based on a bundle is refused: the commit is named, and nothing is written @night", async () => {
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

it("a bundle that was cut or changed, or names what is not in it, is refused, and nothing is written @night", async () => {
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

it("settings that a snapshot of another machine brings run no command and name no file @night", async () => {
  const { there, here } = twoClones({ "a.txt": "a\n" });
  write(there.project, { ".gitattributes": "*.txt filter=evil\n", "a.txt": "changed\n" });
  const snapshot = await taken(there);
  const mark = join(here.root, "ran");
  const settings = [`filter.evil.smudge=touch ${mark}`, `core.fsmonitor=touch ${mark}`, "core.eol=lf"];
  const message = `Work\n\n${JSON.stringify({ head: "--help", branch: null, settings })}\n`;
  const commit = git(snapshot.repository, "commit-tree", `${snapshot.commit}^{tree}`, "-m", message).trim();
  const evil = { ...snapshot, commit };
  const bundle = await made(there, evil);
  expect(await received(here, evil, bundle)).toMatchObject({ ok: true });
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
const files = fc.dictionary(fc.constantFrom(...names), content, { minKeys: 1 });
const pattern = fc.constantFrom("*", "*.txt", "*.c", "*.dat", "*.utf");
const attributes = fc
  .array(fc.tuple(pattern, fc.constantFrom(...endings, ...filters)), { maxLength: 4 })
  .map((lines) => lines.map((line) => `${line.join(" ")}\n`).join(""));

const undone: Pick<UndoInput, "stamps" | "others" | "chosen"> = { stamps: [], others: [], chosen: [] };
const step = { unsaved: null, isWhole: true, interruptedAt: null, edited: [], isOnlyEdited: false, sharedWith: null };

it(
  "whatever git converts, a snapshot, a fork and an undo have the bytes of the work tree @night",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          autocrlf: fc.constantFrom("false", "true", "input"),
          attributes,
          inClone: attributes,
          committed: files,
          edited: files,
          changed: files,
          isAdded: fc.boolean(),
        }),
        async ({ autocrlf, attributes, inClone, committed, edited, changed, isAdded }) => {
          const from = makeProject({ "first.txt": "first\n" });
          const { project, root } = from;
          try {
            for (const [key, value] of Object.entries({ "core.autocrlf": autocrlf, "core.safecrlf": "false" }))
              git(project, "config", key, value);
            write(project, { ".gitattributes": attributes, ".git/info/attributes": inClone });
            write(project, committed);
            tolerated(() => commitAll(project, "converted"));
            write(project, edited);
            if (isAdded) tolerated(() => git(project, "add", "-A"));
            const before = contents(project);
            const first = await taken(from, { checkpointId: "first" });
            write(project, changed);
            const after = contents(project);
            const second = await taken(from, { checkpointId: "second" });
            expect([first.leftOut, second.leftOut]).toEqual([[], []]);
            for (const [name, { repository, commit }] of Object.entries({ first, second })) {
              const into = join(root, name);
              await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 });
              expect(contents(into)).toEqual(name === "first" ? before : after);
            }
            const { repository, commit, head } = first;
            const fork = { ...HOST, repository, commit, head, project, timeoutMs: 60_000 };
            const folder = join(root, "fork");
            expect(await restoreWorktree({ ...fork, folder, branch: "fork" })).toMatchObject({ ok: true });
            expect(contents(folder)).toEqual(before);
            const what = { steps: [{ ...step, start: commit, end: second.commit, leftOut: [] }] };
            expect(await undo(from, { what })).toMatchObject({ state: "done", left: [] });
            expect(contents(project)).toEqual(before);
          } finally {
            rmSync(root, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: Number(process.env["SHIM_CONVERTED_FILES"] ?? 12) },
    );
  },
);

/** Git does not take every content in another encoding. */
function tolerated(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(String(error)).toMatch(/failed to encode|encoding|BOM/);
  }
}

function undo({ project, snapshots }: GitProject, more: Pick<UndoInput, "what">): ReturnType<typeof undoFiles> {
  const input = { ...HOST, project, snapshots, checkpointId: "undo", now: T0, limits: LIMITS };
  return undoFiles({ ...input, ...undone, ...more, isApplied: true });
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
  const what = { steps: [{ ...step, start: commit, end, leftOut: [] }] };
  expect(await undo(from, { what })).toMatchObject({ changes: [{ path: "a.txt", now: "changed" }], left: [] });
  expect(readFileSync(join(project, "a.txt"), "utf8")).toBe("one\r\ntwo\r\n");
});

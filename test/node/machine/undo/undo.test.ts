import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listMoments } from "#src/machine/files/moments.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { anotherClaude } from "#harness/machine/claude.ts";
import { commitAll, contents, git, write } from "#harness/machine/git-project.ts";
import { aUserLine } from "#harness/machine/transcripts.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import type { Job } from "#src/runtime/runtime.ts";
import { undoFiles, writePlanned, type UndoInput, type WriteInput } from "#src/snapshots/undo-files.ts";
import { anUndoRig, type UndoRig } from "#harness/machine/cli-rigs.ts";
import { command, edit, lastCall, loseFiles, makes, read, reasons } from "#harness/machine/undo-works.ts";

it.each<[boolean, string]>([
  [true, ""],
  [false, " @night"],
])("a turn's changes, also types and modes, are undone and redone (git: %s)%s", async (isGit) => {
  const rig = anUndoRig({ "a.txt": "a\n", "run.sh": "#!/bin/sh\n", "d/x": "x\n", "old.txt": "old\n" }, { isGit });
  const { project } = rig;
  await rig.turn("first", edit(rig, "a.txt", "kept\n"));
  const before = contents(project);
  await rig.turn(
    "second",
    edit(rig, "a.txt", "two\n"),
    command(() => {
      chmodSync(join(project, "run.sh"), 0o755);
      rmSync(join(project, "d"), { recursive: true });
      write(project, { d: "a file now\n", "new/f": "new\n" });
      rmSync(join(project, "old.txt"));
      mkdirSync(join(project, "old.txt"));
      symlinkSync("../a.txt", join(project, "old.txt/ln"));
    }),
  );
  const after = contents(project);
  const { changes, left, diff, prompt } = await rig.preview();
  expect({ prompt, left }).toMatchObject({ prompt: { number: 2, text: "second" }, left: [] });
  expect(contents(project)).toEqual(after);
  const names = { changed: ["a.txt", "run.sh"], missing: ["d/x", "old.txt"], created: ["d", "new/f", "old.txt/ln"] };
  for (const [now, paths] of Object.entries(names))
    expect(changes.flatMap((one) => (one.now === now ? one.path : [])).toSorted()).toEqual(paths);
  expect(diff).toContain("-two\n+kept\n");
  expect(await rig.undo()).toMatchObject({ changes: expect.arrayContaining([...changes]), left: [] });
  expect([contents(project), existsSync(join(project, "new"))]).toEqual([before, false]);
  expect((await rig.preview({ prompt: "2" })).changes).toEqual([]);
  expect(await rig.preview()).toMatchObject({ prompt: { number: 1 }, changes: [{ path: "a.txt" }] });
  expect(await rig.undo({ redo: true })).toMatchObject({ prompt: null, left: [] });
  expect(contents(project)).toEqual(after);
  expect(await rig.undo()).toMatchObject({ prompt: { number: 2 }, left: [] });
  expect(contents(project)).toEqual(before);
});

/** The host's process for it is killed when it has put the first file back. */
async function undoKilled(
  { runtime, undo }: UndoRig,
  input: Parameters<UndoRig["undo"]>[0] = {},
  written: readonly string[] = ["a"],
): Promise<void> {
  const startJob = async ({ name, input: given }: Job): Promise<unknown> => {
    const job = { ...given, processes: runtime.processes };
    if (name === "undoFiles") return undoFiles(job as unknown as UndoInput);
    const work = job as unknown as WriteInput;
    await writePlanned({ ...work, changes: work.changes.filter(({ path }) => written.includes(path)) });
    throw new Error("killed");
  };
  Object.assign(runtime, { startJob });
  await expect(undo(input)).rejects.toThrow("`shim undo --redo`");
  Object.assign(runtime, { startJob: undefined });
}

it("an undo that was killed is completed by the next one, or taken back; so is a redo @night", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  const contentsNow = (): string => read(rig, "a", "b").join("").replaceAll("\n", "");
  await rig.turn("both", makes(rig, "1", "a", "b"));
  await undoKilled(rig);
  expect(contentsNow()).toBe("01");
  expect(await rig.undo()).toMatchObject({ changes: { length: 2 }, left: [] });
  expect(contentsNow()).toBe("00");
  await undoKilled(rig, { redo: true });
  expect(contentsNow()).toBe("10");
  expect(await rig.undo({ redo: true })).toMatchObject({ changes: { length: 2 }, left: [] });
  expect(contentsNow()).toBe("11");
  await undoKilled(rig);
  expect(await rig.undo({ redo: true })).toMatchObject({ changes: [{ path: "a" }], left: [] });
  expect(contentsNow()).toBe("11");
  const [killed, done] = [{ detail: { result: "outcome_unknown" } }, { detail: { result: "done" } }];
  expect(listNewest(rig.runtime, 9)).toMatchObject([done, killed, done, killed, done, killed]);
});

it("an undo that was killed when all was written is the one that the next completes; so is a redo", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.turn("first", makes(rig, "1", "a", "b"));
  await rig.turn("second", makes(rig, "2", "a", "b"));
  await undoKilled(rig, {}, ["a", "b"]);
  expect(await rig.undo()).toMatchObject({ prompt: { text: "second" }, changes: { length: 2 }, left: [] });
  expect(read(rig, "a", "b")).toEqual(["1\n", "1\n"]);
  await undoKilled(rig, { redo: true }, ["a", "b"]);
  expect((await rig.undo({ redo: true })).changes).toHaveLength(2);
  for (const text of ["1\n", "0\n"]) {
    await rig.undo();
    expect(read(rig, "a", "b")).toEqual([text, text]);
  }
});

it("an undo is in the audit log before it changes a file", async () => {
  const rig = anUndoRig({ a: "0\n" });
  await rig.turn("one", makes(rig, "1", "a"));
  const seen: unknown[] = [];
  const startJob = ({ name, input: given }: Job): Promise<unknown> => {
    const job = { ...given, processes: rig.runtime.processes };
    if (name === "undoFiles") return undoFiles(job as unknown as UndoInput);
    seen.push(...listNewest(rig.runtime, 9).map(({ kind, detail }) => [kind, detail]));
    return writePlanned(job as unknown as WriteInput);
  };
  Object.assign(rig.runtime, { startJob });
  await rig.undo();
  expect(seen).toEqual([["files.undone", { result: "begun" }]]);
  expect(listNewest(rig.runtime, 9)).toMatchObject([{ kind: "files.undone", detail: { result: "done", rows: 1 } }]);
});

it("what others changed since, between the turns, or beside the chat is left and named", async () => {
  const rig = anUndoRig({ mine: "0\n", since: "0\n", between: "0\n", theirs: "0\n", beside: "0\n" });
  const { project, runtime, claude } = rig;
  await rig.turn("first", makes(rig, "1", "mine", "since", "between", "theirs"));
  makes(rig, "by hand", "between").work();
  const other = anotherClaude(runtime, claude, { cwd: project });
  other.start();
  other.prompt("me too");
  await rig.turn("second", makes(rig, "2", "mine", "between"));
  other.use("Edit", { file_path: join(project, "theirs") }, { type: "update" });
  makes(rig, "by hand", "since").work();
  const atOnceWork = command(() => {
    const id = other.begin("Bash", { command: "make" });
    makes(rig, "3", "mine", "beside").work();
    other.done(id, "Bash");
  });
  await rig.turn("third", atOnceWork);
  const undone = await rig.undo({ session: claude.session, prompt: "1" });
  const byHand = "it was changed between two turns, not by this chat";
  const atOnce = expect.stringMatching(/^chat \S+ ran commands in this folder at the same time/) as string;
  const theirs = expect.stringMatching(/^chat \S+ has edited it, too$/) as string;
  expect(reasons(undone.left)).toEqual({ since: byHand, between: byHand, theirs, mine: atOnce, beside: atOnce });
  expect(undone).toMatchObject({ changes: [], checkpoint: null });
  await rig.turn("fourth", edit(rig, "mine", "4\n"));
  makes(rig, "by hand", "mine").work();
  const { left } = await rig.preview({ session: claude.session });
  expect(reasons(left)).toEqual({ mine: "it was changed since, not by this chat" });
});

it("another chat's command that began before the turn is beside it while it runs, and not once it is over", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const other = anotherClaude(rig.runtime, rig.claude, { cwd: rig.project });
  other.start();
  other.prompt("build it");
  const id = other.begin("Bash", { command: "make" });
  await rig.turn("one", makes(rig, "1", "a"));
  expect(reasons((await rig.undo()).left)).toEqual({ a: expect.stringContaining("ran commands") as string });
  other.done(id, "Bash");
  await rig.turn("two", makes(rig, "2", "a"));
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a" }], left: [] });
  other.begin("Bash", { command: "make" });
  other.prompt("stop that");
  await rig.turn("three", makes(rig, "3", "a"));
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a" }], left: [] });
});

it("a turn with file tools alone has changed nothing but what they name", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.turn("edit", { tool: "Edit", path: "a", work: makes(rig, "by hand", "a", "b").work });
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a", now: "changed" }], left: [] });
  expect(read(rig, "b")).toEqual(["by hand\n"]);
});

it("what was changed after the undo stays when the undo is taken back", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.turn("both", makes(rig, "1", "a", "b"));
  await rig.undo();
  makes(rig, "by hand", "a").work();
  const left = [{ path: "a", reason: "it was changed after the undo" }];
  expect(await rig.undo({ redo: true })).toMatchObject({ changes: [{ path: "b", now: "changed" }], left });
  expect(read(rig, "a", "b")).toEqual(["by hand\n", "1\n"]);
});

it.each<[number, string]>([
  [-3_600_000, ""],
  [31_536_000_000, " @night"],
])("a jump of the clock by %d ms changes the order of no turns%s", async (jump) => {
  const rig = anUndoRig({ a: "0\n" });
  const { runtime, claude } = rig;
  await rig.turn("first", edit(rig, "a", "1\n"));
  runtime.wait(jump);
  await rig.turn("second", edit(rig, "a", "2\n"));
  runtime.wait(-jump);
  await rig.turn("third", edit(rig, "a", "3\n"));
  const moments = runtime.store.read((sql) => listMoments(sql, claude.session), []);
  expect(moments.map(({ text }) => text)).toEqual(["first", "second", "third"]);
  for (const text of ["third", "second"]) expect((await rig.undo()).prompt).toMatchObject({ text });
  expect(read(rig, "a")).toEqual(["1\n"]);
});

it("what an undo has left is not taken again: the next one takes the turn before", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  await rig.turn("first", makes(rig, "1", "a"));
  await rig.turn("second", makes(rig, "2", "b", "c"));
  makes(rig, "by hand", "c").work();
  for (const path of ["b", "a"]) expect((await rig.undo()).changes).toMatchObject([{ path }]);
});

it("one undo after the other takes back one turn more, and none puts a turn back", async () => {
  const rig = anUndoRig({ a: "0\n" });
  for (const text of ["1", "2"]) await rig.turn(text, makes(rig, text, "a"));
  for (const text of ["2", "1"]) expect((await rig.undo()).prompt).toMatchObject({ text });
  expect(read(rig, "a")).toEqual(["0\n"]);
  expect((await rig.undo()).changes).toEqual([]);
  await rig.undo({ redo: true });
  expect(read(rig, "a")).toEqual(["1\n"]);
  expect((await rig.undo()).prompt).toMatchObject({ text: "1" });
});

it("what was shown is taken back, also where the chat has another turn before the yes", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  await rig.turn("one", makes(rig, "1", "a"));
  const ask = async (): Promise<string> => {
    await rig.turn("two", makes(rig, "2", "b"));
    return "y";
  };
  await home.shimWith({ isInteractive: true, ask }, "undo");
  expect(read(rig, "a")).toEqual(["0\n"]);
});

it("a prompt that fits several or none, and a path outside of the project, are refused", async () => {
  const rig = anUndoRig({ a: "0\n" });
  for (const text of ["fix the parser", "fix the tests"]) await rig.turn(text, makes(rig, text, "a"));
  expect((await rig.preview({ prompt: "FIX the t" })).prompt).toMatchObject({ number: 2, text: "fix the tests" });
  const several = /several prompts begin.*\n {2}1 {2}fix the parser\n {2}2 {2}fix/;
  await expect(rig.undo({ prompt: "fix" })).rejects.toThrow(several);
  await expect(rig.undo({ prompt: "9" })).rejects.toThrow("there is no prompt 9");
  await expect(rig.undo({ redo: true })).rejects.toThrow("nothing of the chats of");
  await expect(rig.undo({ files: ["../b"] })).rejects.toThrow("is not in");
});

it("of chosen files, of a turn that still runs, and of earlier turns after an undo", async () => {
  const files = { a: "0\n", b: "0\n", "d/c": "0\n" };
  const rig = anUndoRig(files);
  await rig.turn("first", makes(rig, "1", "a", "d/c"));
  await rig.begin("second", makes(rig, "2", "a", "b"));
  await rig.undo({ files: ["a"] });
  expect(read(rig, "a", "b", "d/c")).toEqual(["1\n", "2\n", "1\n"]);
  const id = rig.claude.begin("Bash", { command: "do" });
  makes(rig, "by command", "d/new").work();
  rig.claude.done(id, "Bash");
  await rig.end();
  const undone = await rig.undo({ prompt: "1" });
  expect(undone.changes.map((one) => one.path).toSorted()).toEqual(["a", "b", "d/c", "d/new"]);
  expect(read(rig, ...Object.keys(files))).toEqual(Object.values(files));
  expect(existsSync(join(rig.project, "d/new"))).toBe(false);
});

it("files of edits that no snapshot has come back: ignored ones and those outside; secrets are named and stay", async () => {
  const rig = anUndoRig({ ".gitignore": "out\n", a: "0\n" });
  write(rig.project, { out: "0\n", "../outside": "0\n" });
  await rig.turn("all", ...["out", ".env", "../outside", "a"].map((path) => edit(rig, path, "1\n")));
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path).toSorted()).toEqual(["../outside", "a", "out"]);
  expect(reasons(left)).toEqual({ ".env": expect.stringContaining("secret") as string });
  expect(read(rig, "../outside", "out", "a")).toEqual(["0\n", "0\n", "0\n"]);
});

it.each<[boolean, string]>([
  [true, ""],
  [false, " @night"],
])("only what a command made or enlarged and no snapshot has is named (git: %s)%s", async (isGit) => {
  const rig = anUndoRig({ a: "0\n", grown: "0\n", ".env.old": "TOKEN=0\n" }, { isGit });
  const { project } = rig;
  const large = "x".repeat(2_000_000);
  const making = command(() => {
    write(project, { a: "1\n", grown: large, large, ".env": "TOKEN=1\n", "nested/n": "n\n" });
    git(join(project, "nested"), "init", "-q");
  });
  await rig.turn("all", making);
  write(project, { id_rsa: "made later by hand\n" });
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path).toSorted()).toEqual(["a", "nested/n"]);
  expect(left.map(({ path }) => path).toSorted()).toEqual([".env", "grown", "large"]);
  const unsaved = "it was made or changed, and no snapshot has it: larger than 1048576 bytes";
  expect(reasons(left)).toMatchObject({ large: unsaved });
});

it("what a command deleted or changed and no snapshot has is named, a folder without what was in it", async () => {
  const large = "x".repeat(2_000_000);
  const rig = anUndoRig({ ".gitignore": "out\n", a: "0\n" });
  const { project } = rig;
  write(project, { "out/one": "1\n", "out/in/two": "2\n", gone: large, large });
  const deletes = command(() => {
    for (const path of ["out", "gone"]) rmSync(join(project, path), { recursive: true });
    write(project, { a: "1\n", large: `y${large.slice(1)}` });
  });
  await rig.turn("all", deletes);
  const tooLarge = "no snapshot has it: larger than 1048576 bytes";
  expect(reasons((await rig.undo()).left)).toEqual({
    "out/": "it was deleted, and no snapshot has it: git ignores it",
    gone: `it was deleted, and ${tooLarge}`,
    large: `it was made or changed, and ${tooLarge}`,
  });
});

it("an undo and its redo change nothing of what is known of a dead chat, its files and its time", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  await rig.turn("one", makes(rig, "1", "a"));
  home.alive.delete(rig.claude.pid);
  home.now += 3_600_000;
  const brief = async () => (await home.shim(`resume ${rig.claude.session} --print`)).out.split("\n");
  const known = (await brief()).filter((line) => /^SHIM|^how it stood|^- a |files as left/.test(line));
  expect(known.join("\n")).toMatch(/1 of 1 files as left/);
  await rig.undo();
  await rig.undo({ redo: true });
  expect(await brief()).toEqual(expect.arrayContaining(known));
  write(rig.project, { a: "2\n" });
  await home.shim(`restore ${rig.claude.session} --yes`);
  expect(read(rig, "a")).toEqual(["1\n"]);
});

it("git's index and history stay, and the moment before is a checkpoint", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const commits = command(() => void commitAll(rig.project, "by the chat"));
  await rig.turn("commit it", makes(rig, "1", "a"), commits);
  const index = read(rig, ".git/index", ".git/HEAD");
  expect((await rig.undo()).checkpoint).toMatch(/^cp_/);
  expect([read(rig, "a"), read(rig, ".git/index", ".git/HEAD")]).toEqual([["0\n"], index]);
});

it("without the files of a turn's start nothing is taken back; without those of its end what was changed in its calls", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  const { claude } = rig;
  await rig.begin("one", edit(rig, "a", "1\n"), makes(rig, "1", "b"));
  claude.stop();
  loseFiles(rig);
  const undone = await rig.undo();
  expect(undone).toMatchObject({ changes: [{ path: "a" }, { path: "b" }], left: [] });
  claude.prompt("two");
  const id = claude.begin("Bash", { command: "make" });
  loseFiles(rig);
  makes(rig, "2", "c").work();
  claude.done(id, "Bash", { command: "make" });
  await rig.end();
  const none = await rig.preview();
  expect(none.changes).toEqual([]);
  expect(reasons(none.left)).toEqual({ "*": "the files before that turn were not saved: no time" });
});

it("a turn whose checkpoints are deleted by now is named, and what it changed is not taken back", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  await rig.turn("one", makes(rig, "1", "a", "b"));
  rig.runtime.store.write((sql) => void sql.run("DELETE FROM checkpoints"));
  await rig.turn("two", makes(rig, "2", "b", "c"));
  const { changes, left } = await rig.undo({ prompt: "1" });
  expect(changes.map(({ path }) => path)).toEqual(["b", "c"]);
  expect(reasons(left)).toEqual({ "*": expect.stringContaining("are stored no more") });
  expect(read(rig, "b")).toEqual(["1\n"]);
});

it("after an interruption the files of the next turn's start, or of now, are those of the turn's end", async () => {
  const rig = anUndoRig({ ".gitignore": "*.jsonl\n", a: "0\n", b: "0\n" });
  const { claude, project, runtime } = rig;
  const works = command(() => {
    write(project, { a: "1\n", new: "1\n" });
    for (const name of ["a", "new"]) utimesSync(join(project, name), runtime.now() / 1_000, runtime.now() / 1_000);
  });
  await rig.begin("one", works);
  const timestamp = new Date(runtime.now()).toISOString();
  claude.transcribe(aUserLine("[Request interrupted by user]", { timestamp }));
  claude.prompt("what was that?");
  const names = async () => (await rig.preview({ prompt: "1" })).changes.map(({ path }) => path).toSorted();
  expect(await names()).toEqual(["a", "new"]);
  write(project, { new: "by hand\n" });
  const since = { new: "it was changed since, not by this chat" };
  expect(reasons((await rig.preview({ prompt: "1" })).left)).toEqual({ new: lastCall });
  write(project, { new: "1\n" });
  await rig.turn("three", edit(rig, "b", "3\n"));
  write(project, { new: "by hand\n" });
  expect(await names()).toEqual(["a", "b"]);
  expect(reasons((await rig.undo({ prompt: "1" })).left)).toEqual(since);
  expect(read(rig, "a", "b")).toEqual(["0\n", "0\n"]);
});

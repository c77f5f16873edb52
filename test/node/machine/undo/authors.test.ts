import { existsSync, linkSync, lstatSync, renameSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anotherClaude } from "#harness/machine/claude.ts";
import { anUndoRig, type UndoRig } from "#harness/machine/cli-rigs.ts";
import { commitAll, contents, git, write } from "#harness/machine/git-project.ts";
import type { Job } from "#src/runtime/runtime.ts";
import type { SnapshotInput } from "#src/snapshots/repository.ts";
import { takeAwaited } from "#src/snapshots/stored-snapshots.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { command, edit, lastCall, loseFiles, makeFolder, makes, read, reasons } from "#harness/machine/undo-works.ts";

it.each<[boolean, string]>([
  [true, ""],
  [false, " @night"],
])("what a person did after the chat's last call stays (files of its end are lost: %s)%s", async (isLost) => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", "d/gone": "0\n", "e/c": "0\n" });
  await rig.begin("one", makes(rig, "1", "a", "b", "d/gone", "e/made"));
  rig.claude.stop();
  if (isLost) loseFiles(rig);
  makes(rig, "by hand", "a", "e/own").work();
  rmSync(join(rig.project, "d/gone"));
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path).toSorted()).toEqual(["b", "e/made"]);
  expect(reasons(left)).toEqual({ a: lastCall, "d/gone": lastCall, "e/own": lastCall });
  expect(read(rig, "a", "b", "e/own")).toEqual(["by hand\n", "0\n", "by hand\n"]);
});

it("what a person did after a call whose end was lost stays, and is taken back by its path", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  const { claude } = rig;
  claude.prompt("one");
  const id = claude.begin("Bash", { command: "make" });
  await takeAwaited(rig.runtime, 60_000);
  makes(rig, "1", "a").work();
  rig.byHand(makes(rig, "by hand", "b").work);
  await rig.begin("", edit(rig, "c", "1\n"));
  await rig.end();
  const doubt = expect.stringContaining("may have been over") as string;
  const { changes, left } = await rig.undo();
  expect([changes, reasons(left)]).toEqual([[{ path: "c", now: "changed" }], { a: doubt, b: doubt }]);
  expect((await rig.undo({ prompt: "1", files: ["a"] })).changes).toEqual([{ path: "a", now: "changed" }]);
  claude.done(id, "Bash", { command: "make" });
});

it("a file that a tool has changed whose end was lost is named", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  const { claude, project } = rig;
  claude.prompt("one");
  claude.begin("Edit", { file_path: join(project, "a") });
  await takeAwaited(rig.runtime, 60_000);
  makes(rig, "1", "a").work();
  await rig.end();
  const doubt = expect.stringContaining("may have been over") as string;
  expect(reasons((await rig.undo()).left)).toEqual({ a: doubt });
});

it.each<[boolean, string]>([
  [true, ""],
  [false, " @night"],
])("undo, redo and undo take the same back at once after the turn (its files are lost: %s)%s", async (isLost) => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.begin("one", makes(rig, "1", "a", "new"));
  rig.claude.stop();
  if (isLost) loseFiles(rig);
  for (const redo of [false, true, false]) {
    const { changes, left } = await rig.undo({ redo });
    expect([changes.length, left]).toEqual([2, []]);
  }
  expect([read(rig, "a"), existsSync(join(rig.project, "new"))]).toEqual([["0\n"], false]);
});

it("an earlier turn is undone after the next prompt, also where both ends wait for their files", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.begin("one", makes(rig, "1", "a"));
  rig.claude.stop();
  await rig.begin("two", makes(rig, "2", "b"));
  rig.claude.stop();
  expect((await rig.undo({ prompt: "1" })).changes).toHaveLength(2);
  expect(read(rig, "a", "b")).toEqual(["0\n", "0\n"]);
});

it("a file and a folder that the chat moved go back", async () => {
  const rig = anUndoRig({ a: "0\n", "d/x": "x\n", "d/in/y": "y\n" });
  const before = contents(rig.project);
  const moves = command(() => {
    renameSync(join(rig.project, "a"), join(rig.project, "b"));
    renameSync(join(rig.project, "d"), join(rig.project, "e"));
  });
  await rig.turn("move", moves);
  expect(await rig.undo()).toMatchObject({ left: [] });
  expect(contents(rig.project)).toEqual(before);
});

it("a folder that a person moved between two calls stays where it is, and goes not back", async () => {
  const rig = anUndoRig({ "d/x": "x\n", "in/f": "0\n" });
  await rig.begin("one", makes(rig, "1", "in/f"));
  rig.byHand(() => undefined);
  rig.byHand(() => renameSync(join(rig.project, "d"), join(rig.project, "in/e")));
  await rig.begin("", makes(rig, "2", "in/f", "in/made"));
  await rig.end();
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path).toSorted()).toEqual(["in/f", "in/made"]);
  expect(reasons(left)).toMatchObject({ "in/e/x": "it was changed while no call of the chat ran" });
});

it("a deletion beside which a person changed the folder is nobody's for certain, and taken back by its path", async () => {
  const rig = anUndoRig({ "d/gone": "0\n", a: "0\n" });
  await rig.begin(
    "one",
    command(() => rmSync(join(rig.project, "d/gone"))),
  );
  rig.byHand(() => undefined);
  rig.byHand(makes(rig, "by hand", "d/own").work);
  await rig.begin("", makes(rig, "1", "a"));
  await rig.end();
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path)).toEqual(["a"]);
  expect(reasons(left)).toMatchObject({
    "d/gone": expect.stringContaining("whose change it is is not known") as string,
  });
  expect((await rig.undo({ prompt: "1", files: ["d/gone"] })).changes).toEqual([{ path: "d/gone", now: "missing" }]);
});

it("what was moved into the project, and no reading held, is not deleted", async () => {
  const rig = anUndoRig({ ".gitignore": "out/\n", a: "0\n" });
  write(rig.project, { "out/deep/only": "mine\n", "../beside/only": "mine\n" });
  utimesSync(join(rig.project, "../beside/only"), 1_700_000_000, 1_700_000_000);
  const moves = command(() => {
    renameSync(join(rig.project, "out/deep"), join(rig.project, "deep"));
    renameSync(join(rig.project, "../beside"), join(rig.project, "beside"));
    write(rig.project, { a: "1\n" });
  });
  await rig.turn("move", moves);
  const { changes, left } = await rig.undo();
  expect(changes).toEqual([{ path: "a", now: "changed" }]);
  expect(left.map(({ path }) => path)).toEqual(expect.arrayContaining(["beside/only", "deep/only"]));
  expect(read(rig, "deep/only", "beside/only")).toEqual(["mine\n", "mine\n"]);
});

it("another chat's command takes from the chat only what was changed while both ran", async () => {
  const rig = anUndoRig({ both: "0\n", mine: "0\n", theirs: "0\n" });
  const other = anotherClaude(rig.runtime, rig.claude, { cwd: rig.project });
  other.start();
  other.prompt("me too");
  const id = other.begin("Bash", { command: "make" });
  await rig.begin("one", makes(rig, "1", "both"));
  rig.runtime.wait(1);
  makes(rig, "other", "theirs").work();
  other.done(id, "Bash");
  // More than a tick of the clock before the next call.
  for (let ms = 0; ms < 30; ms++) rig.runtime.wait(1);
  await rig.begin("", makes(rig, "1", "mine"));
  await rig.end();
  const { changes, left } = await rig.undo({ session: rig.claude.session, prompt: "one" });
  expect(changes).toEqual([{ path: "mine", now: "changed" }]);
  const ran = expect.stringMatching(/^chat \S+ ran commands in this folder/) as string;
  expect(reasons(left)).toEqual({ both: ran, theirs: ran });
  for (const [path, changes] of [
    ["both", [{ path: "both", now: "changed" }]],
    ["theirs", []],
  ] as const)
    expect((await rig.undo({ session: rig.claude.session, prompt: "one", files: [path] })).changes).toEqual(changes);
});

it("another chat's command that waits for its user's leave has not begun", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const other = anotherClaude(rig.runtime, rig.claude, { cwd: rig.project });
  other.start();
  other.prompt("me too");
  other.begin("Bash", { command: "make" });
  other.tell("Notification", { notification_type: "permission_prompt", message: "Claude needs your permission" });
  await rig.turn("one", makes(rig, "1", "a"));
  expect(await rig.undo({ session: rig.claude.session })).toMatchObject({ changes: [{ path: "a" }], left: [] });
  // One beside it has begun.
  const beside = other.begin("Bash", { command: "ls" });
  await rig.turn("two", makes(rig, "2", "a"));
  expect(await rig.preview({ session: rig.claude.session })).toMatchObject({ changes: [], left: [{ path: "a" }] });
  other.done(beside, "Bash");
});

it("what a person changes while a call waits for leave stays, also where its path is named", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.begin("one", makes(rig, "1", "a"));
  rig.claude.begin("Bash", { command: "rm -rf ." });
  rig.claude.tell("Notification", { notification_type: "permission_prompt", message: "Claude needs your permission" });
  rig.byHand(makes(rig, "by hand", "b").work);
  expect((await rig.undo({ files: ["b"], prompt: "1" })).changes).toEqual([]);
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a" }], left: [{ path: "b" }] });
});

/** Files whose state before the turn no reading knows. */
const hidden: readonly (readonly [
  string,
  Record<string, string>,
  (rig: UndoRig) => void,
  readonly string[],
  readonly string[],
])[] = [
  [
    "were ignored",
    { ".gitignore": "*.local\n.data/\n", a: "0\n" },
    ({ project }) => write(project, { ".gitignore": "nothing\n" }),
    ["app.local", ".data/notes"],
    ["app.local", ".data/notes"],
  ],
  [
    "were excluded in this clone",
    { a: "0\n", ".git/info/exclude": "*.local\n" },
    ({ project }) => write(project, { ".git/info/exclude": "\n" }),
    ["app.local"],
    ["app.local"],
  ],
  [
    "were in a repository of their own",
    { a: "0\n" },
    ({ project }) => rmSync(join(project, "lib/.git"), { recursive: true, force: true }),
    ["lib/own", "lib/deep/own"],
    ["lib/.git"],
  ],
];

it.each(hidden)("files of the user that %s before the turn are neither deleted nor written over", async (...given) => {
  const [, files, unhide, paths, names] = given;
  const rig = anUndoRig(files);
  const { project } = rig;
  git(makeFolder(project, "lib"), "init", "-q");
  write(project, { ...files, ...Object.fromEntries(paths.map((path) => [path, "mine\n"])) });
  const work = command(() => {
    write(project, { a: "1\n" });
    unhide(rig);
  });
  await rig.turn("all", work);
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path)).toContain("a");
  for (const path of paths) expect(existsSync(join(project, path))).toBe(true);
  const named = left.map(({ path }) => path);
  expect(named).toEqual(expect.arrayContaining([...names]));
});

it.each<[boolean, string]>([
  [false, " @night"],
  [true, ""],
])("a secret that the turn gave another name gets its name again (ignored: %s)%s", async (isIgnored) => {
  const rig = anUndoRig({ ".gitignore": isIgnored ? ".env\n" : "\n", a: "0\n" });
  const { project } = rig;
  const move = (from: string, to: string): void => renameSync(join(project, from), join(project, to));
  write(project, { ".env": "mine\n", ".env.old": "mine, too\n" });
  await rig.turn(
    "hide it",
    command(() => {
      move(".env", "env.txt");
      move(".env.old", "old.txt");
      write(project, { "old.txt": "changed\n" });
    }),
  );
  const { left } = await rig.undo();
  const named = ["it was .env.old, which no snapshot has", "it was deleted, and no snapshot has it"];
  expect(left.map(({ path, reason }) => [path, reason.split(":")[0]])).toEqual([
    ["old.txt", named[0]],
    [".env.old", named[1]],
  ]);
  expect([read(rig, ".env", "old.txt"), existsSync(join(project, "env.txt"))]).toEqual([
    ["mine\n", "changed\n"],
    false,
  ]);
  await rig.undo({ redo: true });
  expect([read(rig, "env.txt"), existsSync(join(project, ".env"))]).toEqual([["mine\n"], false]);
});

it("a file that got the number of one that no snapshot has, deleted before, is new and taken back", async () => {
  const rig = anUndoRig({ ".gitignore": "out/\n", a: "0\n" });
  const { project } = rig;
  write(project, { ".env": "mine\n", "out/built": "0\n" });
  const numbers = new Set([".env", "out/built"].map((path) => lstatSync(join(project, path)).ino));
  const paths = Array.from({ length: 20 }, (_, at) => `made-${at}`);
  const work = command(() => {
    for (const path of [".env", "out/built"]) rmSync(join(project, path));
    for (const path of paths) write(project, { [path]: "1\n" });
  });
  await rig.turn("one", work);
  const given = paths.filter((path) => numbers.has(lstatSync(join(project, path)).ino));
  const { changes, left } = await rig.undo();
  expect(left.map(({ path }) => path).toSorted(), `given again: ${given.join(", ")}`).toEqual([".env", "out/built"]);
  expect(changes.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
});

it("a secret that was moved stays beside the new file at its old name, and a second name of one is taken back", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const { project } = rig;
  write(project, { ".env": "mine\n", ".env.two": "mine, too\n" });
  const work = command(() => {
    renameSync(join(project, ".env"), join(project, "env.txt"));
    write(project, { ".env": "1\n" });
    linkSync(join(project, ".env.two"), join(project, "two.txt"));
  });
  await rig.turn("one", work);
  const { changes, left } = await rig.undo();
  expect([changes, left.map(({ path }) => path)]).toEqual([
    [{ path: "two.txt", now: "created" }],
    ["env.txt", ".env", ".env.two"],
  ]);
  expect(read(rig, ".env", "env.txt", ".env.two")).toEqual(["1\n", "mine\n", "mine, too\n"]);
});

it("what the turn began to ignore is read all the same, and taken back", async () => {
  const rig = anUndoRig({ ".gitignore": "\n", a: "0\n" });
  const { project } = rig;
  write(project, { "notes.txt": "mine\n" });
  const work = command(() => write(project, { ".gitignore": "notes.txt\n", "notes.txt": "1\n" }));
  await rig.turn("one", work);
  expect((await rig.undo()).left).toEqual([]);
  expect(read(rig, "notes.txt", ".gitignore")).toEqual(["mine\n", "\n"]);
});

it.each<[string, string]>([
  ["no git", ""],
  ["git", ""],
  ["git that ignores them", " @night"],
  ["git that ignores their folder", ""],
  ["a submodule", ""],
])("what a turn changed in repositories in the project is taken back (%s)%s", async (above) => {
  const ignored = { "git that ignores them": "in/child/\n", "git that ignores their folder": "in/\n" }[above] ?? "\n";
  const rig = anUndoRig({ ".gitignore": ignored, a: "0\n" }, { isGit: above !== "no git" });
  const { project } = rig;
  const child = makeFolder(project, "in/child");
  git(child, "init", "-q");
  write(child, { x: "0\n", "deep/gone": "0\n", ".gitignore": "*.log\n" });
  commitAll(child, "first");
  write(child, { "old.log": "0\n", "new.log": "0\n" });
  if (above === "a submodule") git(project, "add", "in/child");
  const filesNow = (): Record<string, string> => contents(project, (path) => /(?:^|\/)\.git$/.test(path));
  await rig.turn("first", makes(rig, "1", "a"));
  const before = filesNow();
  const work = command(() => {
    write(child, { x: "1\n", made: "1\n", "old.log": "1\n", ".gitignore": "\n" });
    rmSync(join(child, "deep"), { recursive: true });
  });
  await rig.turn("second", work);
  const after = filesNow();
  const { prompt, changes, left } = await rig.undo();
  const names = [".gitignore", "deep/gone", "made", "x"].map((name) => `in/child/${name}`);
  expect([prompt?.text, changes.map(({ path }) => path).toSorted()]).toEqual(["second", names]);
  // They were ignored when the turn began.
  expect(left.map(({ path }) => path).toSorted()).toEqual(["in/child/new.log", "in/child/old.log"]);
  expect(filesNow()).toEqual({ ...before, "in/child/old.log": after["in/child/old.log"] });
  await rig.undo({ redo: true });
  expect(filesNow()).toEqual(after);
});

it("what a person made between two calls of a turn stays, also where a later turn has changed it", async () => {
  const rig = anUndoRig({ q: "0\n" });
  const byPerson = {
    tool: "Read",
    path: "q",
    work: () => {
      rig.byHand(() => undefined);
      rig.byHand(() => write(rig.project, { p: "mine\n" }));
    },
  };
  await rig.turn("one", makes(rig, "1", "q"), byPerson, makes(rig, "2", "q"));
  await rig.turn("two", makes(rig, "theirs", "p"), makes(rig, "3", "q"));
  const { changes, left } = await rig.undo({ prompt: "1" });
  expect([changes.map(({ path }) => path), left.map(({ path }) => path)]).toEqual([["q"], ["p"]]);
  expect(read(rig, "p", "q")).toEqual(["theirs\n", "0\n"]);
  await rig.undo({ prompt: "2" });
  expect(read(rig, "p")).toEqual(["mine\n"]);
});

it("a linked work tree in the project is that of its own chats", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const tree = join(rig.project, "trees/one");
  git(rig.project, "worktree", "add", "-q", tree);
  await rig.turn("one", makes(rig, "1", "a", "trees/one/a"));
  const { changes, left } = await rig.undo();
  expect(changes).toEqual([{ path: "a", now: "changed" }]);
  expect(left.map(({ path }) => path)).toEqual(["trees/one/"]);
});

it("what a person changes while the files of the turn's end are read stays", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.begin("one", makes(rig, "1", "a", "b"));
  const startJob = ({ input }: Job): Promise<unknown> => {
    rig.runtime.wait(1);
    makes(rig, "by hand", "a").work();
    return takeSnapshot({ ...input, processes: rig.runtime.processes } as unknown as SnapshotInput);
  };
  Object.assign(rig.runtime, { startJob });
  await rig.end();
  Object.assign(rig.runtime, { startJob: undefined });
  const { changes, left } = await rig.undo();
  expect([changes, reasons(left)]).toEqual([[{ path: "b", now: "changed" }], { a: lastCall }]);
});

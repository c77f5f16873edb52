import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anotherClaude } from "#harness/machine/claude.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { anUndoRig, type ToolWork, type UndoRig } from "#harness/machine/cli-rigs.ts";
import { commitAll, contents, git, write } from "#harness/machine/git-project.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import { reasons } from "#harness/machine/undo-works.ts";
import { remount, smallDisk } from "#harness/store/small-disk.ts";

const command = (work: () => void): ToolWork => ({ tool: "Bash", work });

function makes({ project }: UndoRig, text: string, ...names: readonly string[]): ToolWork {
  return command(() => write(project, Object.fromEntries(names.map((name) => [name, `${text}\n`]))));
}

function read({ project }: UndoRig, ...names: readonly string[]): string[] {
  return names.map((name) => (existsSync(join(project, name)) ? readFileSync(join(project, name), "utf8").trim() : ""));
}

it("undo, redo, undo is the undo, and as many redos as undos are what was before", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  const states: Record<string, string>[] = [];
  for (const text of ["1", "2"]) {
    states.push(contents(rig.project));
    await rig.turn(text, makes(rig, text, "a", `new-${text}`));
  }
  const now = contents(rig.project);
  await rig.undo();
  expect(contents(rig.project)).toEqual(states[1]);
  await rig.undo({ redo: true });
  expect(contents(rig.project)).toEqual(now);
  await rig.undo();
  expect(contents(rig.project)).toEqual(states[1]);
  await rig.undo();
  expect(contents(rig.project)).toEqual(states[0]);
  for (const files of [states[1], now]) {
    expect(await rig.undo({ redo: true })).toMatchObject({ left: [], refused: [] });
    expect(contents(rig.project)).toEqual(files);
  }
  await expect(rig.undo({ redo: true })).rejects.toThrow("was undone");
  expect(contents(rig.project)).toEqual(now);
});

it("a redo of some files leaves the others to the next redo", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n" });
  await rig.turn("both", makes(rig, "1", "a", "b"));
  await rig.undo();
  await rig.undo({ redo: true, files: ["a"] });
  expect(read(rig, "a", "b")).toEqual(["1", "0"]);
  await rig.undo({ redo: true });
  expect(read(rig, "a", "b")).toEqual(["1", "1"]);
});

it("an undo that is refused in part says so, exits 1, and the next one completes it; so does a redo", async (test) => {
  const home = aCliHome();
  mkdirSync(join(home.project, "m"), { recursive: true });
  const disk = smallDisk(test, 1, join(home.project, "m"));
  const rig = anUndoRig({ a: "0\n", "m/b": "0\n" }, { home });
  await rig.turn("both", makes(rig, "1", "a", "m/b", "m/new"));
  for (const [words, done, last] of [
    ["undo", "Took back", ["0", "0", ""]],
    ["undo --redo", "Put back", ["1", "1", "1"]],
  ] as const) {
    const before = read(rig, "m/b", "m/new");
    remount(disk, "ro");
    const said = [`${done} 1 of 3 files in `, "  m/b: its disk can only be read\n", `\`shim ${words}\` completes it.`];
    expect(await home.shim(`${words} --yes`)).toMatchObject({ ...printed(...said), code: 1 });
    expect(read(rig, "a", "m/b", "m/new")).toEqual([last[0], ...before]);
    remount(disk, "rw");
    expect(await home.shim(`${words} --yes`)).toMatchObject(printed(`${done} `));
    expect(read(rig, "a", "m/b", "m/new")).toEqual(last);
  }
});

it("an undo on a full disk changes nothing, exits 1, and puts all back when there is room again", async (test) => {
  const home = aCliHome();
  const disk = smallDisk(test, 4, home.project);
  const names = Array.from({ length: 10 }, (_, at) => `f${at}`);
  const large = Object.fromEntries(names.map((name) => [name, "x".repeat(100_000)]));
  const rig = anUndoRig(large, { home });
  await rig.turn("shorten them", makes(rig, "1", ...names));
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, "filler"), Buffer.alloc(bavail * bsize - 400_000));
  const said = ["Took back 0 of 10 files", "  f9: the disk is full\n", "`shim undo` completes it."];
  expect(await home.shim("undo --yes")).toMatchObject({ ...printed(...said), code: 1 });
  expect(read(rig, ...names)).toEqual(names.map(() => "1"));
  rmSync(join(disk, "filler"));
  expect(await home.shim("undo --yes")).toMatchObject(printed("Took back 10 files"));
  expect(read(rig, ...names)).toEqual(Object.values(large));
});

it("where there is nothing to put back the exit code is 1, with --diff too", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  await rig.turn("one", makes(rig, "1", "a"));
  expect(await home.shim("undo --diff")).toMatchObject({ code: 0 });
  expect(await home.shim("undo --yes")).toMatchObject({ code: 0 });
  expect(await home.shim("undo --yes")).toMatchObject({ ...printed("Nothing to put back"), code: 1 });
  expect(await home.shim("undo --diff")).toMatchObject(failed(1, "Nothing to put back"));
});

it("of many files the first are listed, and the others counted", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  const names = Array.from({ length: 60 }, (_, at) => `f${at}`);
  await rig.turn("many", makes(rig, "1", ...names));
  expect(await home.shim("undo")).toMatchObject(failed(1, "  f0: is deleted\n", "  and 10 more: --diff shows all"));
});

it("a number counts in the chat that an undo without one shows", async () => {
  const rig = anUndoRig({ a: "0\n" });
  await rig.turn("change it", makes(rig, "1", "a"));
  const other = anotherClaude(rig.runtime, rig.claude, { cwd: rig.project });
  other.start();
  other.prompt("only look at it");
  const id = other.begin("Bash", { command: "ls" });
  await takeAwaited(rig.runtime, 60_000);
  other.done(id, "Bash", { command: "ls" });
  other.stop();
  await takePending(rig.runtime, [other.session], new AbortController().signal);
  const { session } = rig.claude;
  for (const prompt of ["last", "1"])
    expect(await rig.preview({ prompt })).toMatchObject({ session, changes: [{ path: "a" }] });
});

it("of many chats that changed nothing none hides the one that did", async () => {
  const rig = anUndoRig({ a: "0\n" });
  await rig.turn("change it", makes(rig, "1", "a"));
  for (let at = 0; at < 60; at++) {
    const other = anotherClaude(rig.runtime, rig.claude, { cwd: rig.project });
    rig.runtime.wait(1_000);
    other.start();
    other.prompt("say hello");
    other.stop();
  }
  expect(await rig.undo()).toMatchObject({ session: rig.claude.session, changes: [{ path: "a" }] });
});

it.each(["git init", "rm -rf .git"])(
  "a turn that runs %s is taken back, but for git's own folder, and redone",
  async (run) => {
    const rig = anUndoRig({ a: "0\n", gone: "0\n" }, { isGit: run !== "git init" });
    const { project } = rig;
    await rig.turn("before", makes(rig, "1", "a"));
    const before = contents(project);
    const work = (): void => {
      if (run === "git init") commitAllIn(project);
      else rmSync(join(project, ".git"), { recursive: true });
      rmSync(join(project, "gone"));
      write(project, { a: "2\n", new: "2\n" });
    };
    await rig.turn("another repository", command(work));
    const after = contents(project);
    expect(await rig.undo()).toMatchObject({ left: [], refused: [], changes: { length: 3 } });
    expect(contents(project)).toEqual(before);
    expect(existsSync(join(project, ".git"))).toBe(run === "git init");
    await rig.undo({ redo: true });
    expect(contents(project)).toEqual(after);
    expect(await rig.undo({ prompt: "1" })).toMatchObject({ left: [], refused: [] });
    expect(read(rig, "a", "gone", "new")).toEqual(["0", "0", ""]);
  },
);

function commitAllIn(project: string): void {
  git(project, "init", "--quiet");
  commitAll(project, "first");
}

it("a turn whose readings are stored no more is named, and nothing is put back", async () => {
  const rig = anUndoRig({ a: "0\n" });
  await rig.turn("one", makes(rig, "1", "a"));
  rmSync(rig.runtime.paths.snapshots, { recursive: true });
  const { changes, left } = await rig.undo();
  expect([changes, left]).toEqual([[], [{ path: "*", reason: expect.stringContaining("stored no more") as string }]]);
  expect(read(rig, "a")).toEqual(["1"]);
});

it("files come back with the rights that they had: from an undo, a redo, and a restore", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ key: "0\n", "d/key": "0\n", run: "0\n", plain: "0\n" }, { home });
  const { project } = rig;
  const modes = { key: 0o600, "d/key": 0o640, run: 0o700 };
  for (const [name, mode] of Object.entries(modes)) chmodSync(join(project, name), mode);
  const before = contents(project);
  await rig.turn(
    "lose them",
    command(() => {
      for (const name of ["key", "d/key", "run"]) rmSync(join(project, name));
      write(project, { run: "1\n", plain: "1\n" });
      chmodSync(join(project, "run"), 0o755);
    }),
  );
  const after = contents(project);
  await rig.undo();
  expect(rightsIn(project, modes)).toEqual(modes);
  expect(contents(project)).toEqual(before);
  await rig.undo({ redo: true });
  expect(contents(project)).toEqual(after);
  const { id } = home.runtime.store.read(
    (sql) => sql.all<{ id: string }>("SELECT id FROM checkpoints ORDER BY seq")[0],
    undefined,
  ) ?? { id: "" };
  for (const words of [`restore ${id} --yes`, `restore ${id} --into ${project}-copy`])
    expect((await home.shim(words)).code).toBe(0);
  for (const folder of [project, `${project}-copy`]) expect(rightsIn(folder, modes)).toEqual(modes);
});

it.each<[number, string]>([
  [0o644, ""],
  [0o600, " @night"],
])("a change of rights alone is undone, and no file is more open afterwards (most have %o)%s", async (most) => {
  const rig = anUndoRig({ key: "0\n", run: "0\n", other: "0\n", more: "0\n", last: "0\n" });
  const { project } = rig;
  const all = ["key", "run", "other", "more", "last"];
  const before = Object.fromEntries(all.map((name) => [name, most]));
  for (const name of all) chmodSync(join(project, name), most);
  const after = { ...before, key: 0o640, run: 0o755, other: 0o666 };
  await rig.turn(
    "open them",
    command(() => Object.entries(after).forEach(([name, mode]) => chmodSync(join(project, name), mode))),
  );
  rig.byHand(() => chmodSync(join(project, "other"), 0o604));
  const { changes, left } = await rig.undo();
  const since = "it was changed since, not by this chat";
  expect([changes.map(({ path }) => path).toSorted(), reasons(left)]).toEqual([["key", "run"], { other: since }]);
  expect(rightsIn(project, before)).toEqual({ ...before, other: 0o604 });
  await rig.undo({ redo: true });
  expect(rightsIn(project, before)).toEqual({ ...after, other: 0o604 });
});

it("a folder that comes back has the rights that it had, and one whose rights have changed is named", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ "private/deep/key": "0\n", "shared/a": "0\n", "plain/a": "0\n", b: "0\n" }, { home });
  const { project } = rig;
  const modes = { private: 0o700, "private/deep": 0o750, shared: 0o755, plain: 0o755 };
  for (const [name, mode] of Object.entries(modes)) chmodSync(join(project, name), mode);
  await rig.turn(
    "move the key",
    command(() => {
      rmSync(join(project, "private"), { recursive: true });
      rmSync(join(project, "plain"), { recursive: true });
      write(project, { "made/key": "1\n" });
      chmodSync(join(project, "made"), 0o700);
      chmodSync(join(project, "shared"), 0o777);
    }),
  );
  const named = { "shared/": "its rights have changed, and an undo brings back those of files alone" };
  expect(reasons((await rig.undo()).left)).toEqual(named);
  expect(rightsIn(project, modes)).toEqual({ ...modes, shared: 0o777 });
  await rig.undo({ redo: true });
  expect(rightsIn(project, { made: 0 })).toEqual({ made: 0o700 });
  await rig.undo();
  expect(rightsIn(project, modes)).toEqual({ ...modes, shared: 0o777 });
  const { id } = home.runtime.store.read(
    (sql) => sql.all<{ id: string }>("SELECT id FROM checkpoints ORDER BY seq")[0],
    undefined,
  ) ?? { id: "" };
  expect((await home.shim(`restore ${id} --into ${project}-copy`)).code).toBe(0);
  expect(rightsIn(`${project}-copy`, modes)).toEqual(modes);
});

it("rights that a turn takes from all files come back", async () => {
  const rig = anUndoRig({ a: "0\n", b: "0\n", c: "0\n" });
  const names = { a: 0o644, b: 0o644, c: 0o640 };
  for (const [name, mode] of Object.entries(names)) chmodSync(join(rig.project, name), mode);
  await rig.turn(
    "close them",
    command(() => Object.keys(names).forEach((name) => chmodSync(join(rig.project, name), 0o600))),
  );
  expect((await rig.undo()).changes.map(({ path }) => path).toSorted()).toEqual(["a", "b", "c"]);
  expect(rightsIn(rig.project, names)).toEqual(names);
});

function rightsIn(folder: string, names: object): Record<string, number> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, statSync(join(folder, name)).mode & 0o777]));
}

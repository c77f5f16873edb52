import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anotherClaude } from "#harness/machine/claude.ts";
import { aCliHome, addSession, checkpointOf, type CliHome } from "#harness/machine/cli-home.ts";
import { failed, holding, ids, printed } from "#harness/machine/cli-home.ts";
import { anUndoRig, canRunGit, loseSession, twoCliHomes, type CliMachines } from "#harness/machine/cli-rigs.ts";
import { commitAll, contents, git, write } from "#harness/machine/git-project.ts";
import type { Io } from "#src/cli/io.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { shortCheckpointId } from "#src/machine/sessions/session-identity.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { snapshots } from "#src/store/session-tables.ts";

function textsOf(folder: string, ...names: string[]): string[] {
  return names.map((name) => readFileSync(join(folder, name), "utf8"));
}

/** A project in git with uncommitted work, a dead session, and the snapshot of its files. */
async function withSnapshot(): Promise<{ home: CliHome; id: string; short: string }> {
  const home = aCliHome();
  canRunGit(home);
  git(home.project, "init", "-q", "-b", "main");
  write(home.project, { "a.txt": "one\n" });
  commitAll(home.project, "first");
  write(home.project, { "a.txt": "two\n", ".env": "KEY=1\n" });
  addSession(home, { id: ids.dead, pid: 200 });
  await takePending(home.runtime, [ids.dead], new AbortController().signal);
  const id = checkpointOf(home, ids.dead);
  return { home, id, short: home.runtime.store.read((sql) => shortCheckpointId(sql, id), "") };
}

/** Another session has saved the files, and these as well. */
async function saveLater(home: CliHome, id: string, files: Record<string, string>): Promise<void> {
  write(home.project, files);
  home.now += 1_000;
  addSession(home, { id, pid: 300 });
  await takePending(home.runtime, [id], new AbortController().signal);
}

/** A second session has saved the same file, and one in a folder. */
async function withLaterFolder(): ReturnType<typeof withSnapshot> {
  const saved = await withSnapshot();
  await saveLater(saved.home, ids.finished, { "d/b.txt": "two\n" });
  return saved;
}

it("without a flag the files are put back in place after a yes, with a copy of what they replace", async () => {
  const { home, id, short } = await withSnapshot();
  write(home.project, { "a.txt": "three\n", "later.txt": "kept\n" });
  expect(await home.shim("restore", short, "--diff", "--yes")).toMatchObject(printed("-three\n+two\n"));
  const how = `\`shim restore ${id} --yes\` does it without a question.`;
  expect(await home.shim("restore")).toMatchObject(failed(1, "1 file of 1 differs from", "  a.txt: put back", how));
  const backup = `${home.project}-before-${short}`;
  const asked = (ask: Io["ask"]) => home.shimWith({ isInteractive: true, ask }, "restore", short);
  expect(await asked(async () => "n")).toMatchObject(printed("Nothing was restored."));
  expect(textsOf(home.project, "a.txt")).toEqual(["three\n"]);
  const done = [`Restored 1 file in ${home.project}.`, `What they replaced is in ${backup}.`];
  expect(await asked(async () => "y")).toMatchObject(printed(...done, /Never saved:\n {2}\.env: /));
  expect(textsOf(home.project, "a.txt", "later.txt")).toEqual(["two\n", "kept\n"]);
  expect([readdirSync(backup), textsOf(backup, "a.txt")]).toEqual([["a.txt"], ["three\n"]]);
  chmodSync(join(home.project, "a.txt"), 0o755);
  expect(await home.json("restore", id, "--yes")).toMatchObject({ written: ["a.txt"], backup: `${backup}-2` });
  expect(statSync(join(home.project, "a.txt")).mode & 0o111).toBe(0);
});

it("what was shown is put back, also where another session saves the files before the yes", async () => {
  const { home } = await withSnapshot();
  write(home.project, { "a.txt": "three\n" });
  const ask = async (): Promise<string> => {
    await saveLater(home, ids.finished, {});
    return "y";
  };
  await home.shimWith({ isInteractive: true, ask }, "restore");
  expect(textsOf(home.project, "a.txt")).toEqual(["two\n"]);
});

it("of a session whose turns were undone one by one the files are those that its chat left", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  for (const text of ["1\n", "2\n"])
    await rig.turn(text, { tool: "Bash", work: () => write(home.project, { a: text }) });
  for (const left of ["1\n", "0\n"]) {
    rig.runtime.wait(1_000);
    await rig.undo();
    expect(textsOf(home.project, "a")).toEqual([left]);
  }
  await home.json("restore", rig.claude.session, "--yes");
  expect(textsOf(home.project, "a")).toEqual(["2\n"]);
});

it("a line break in the name of a file or of a project is escaped where a line names it", async () => {
  const home = aCliHome();
  const project = join(home.folder, "two\nlines");
  const rig = anUndoRig({ "a\nb.txt": "one\n" }, { home: Object.assign(home, { project }) });
  await rig.turn("edit it", { tool: "Bash", work: () => write(project, { "a\nb.txt": "two\n" }) });
  write(project, { "a\nb.txt": "three\n" });
  const file = String.raw`  a\nb.txt: `;
  const folder = String.raw`two\nlines`;
  expect(await home.shim("restore")).toMatchObject(failed(1, `${file}put back`, `${folder}:\n`));
  const undone = printed(`${file}it was changed`, `put back in ${home.folder}/${folder}:`);
  expect(await home.shim("undo")).toMatchObject({ ...undone, code: 1 });
  expect(await home.shim("restore --yes")).toMatchObject(printed(`in ${home.folder}/${folder}.`));
});

it("a project whose path is not valid UTF-8 has no saved files, and restore and undo say why", async () => {
  const home = aCliHome();
  const cwd = join(home.folder, "pro\uFFFDject");
  const why = [`${cwd} has bytes that are not valid UTF-8`, "rename it"];
  expect(await home.shimWith({ cwd }, "restore")).toMatchObject(failed(3, ...why));
  addSession(home, { id: ids.dead, pid: 200, project: cwd });
  expect(await home.shimWith({ cwd }, "undo --session", ids.dead)).toMatchObject(failed(1, ...why));
});

it("a session, or nothing at all, stands for its newest saved files; names of files restore those alone", async () => {
  const { home, id } = await withLaterFolder();
  write(home.project, { "a.txt": "three\n", "d/b.txt": "three\n" });
  const cwd = join(home.project, "d");
  expect(await home.shimWith({ cwd }, "restore b.txt --yes")).toMatchObject({ code: 0 });
  expect(textsOf(home.project, "a.txt", "d/b.txt")).toEqual(["three\n", "two\n"]);
  expect(await home.shim(`restore ${id} d/b.txt --yes`)).toMatchObject(failed(3, "d/b.txt is not among the saved"));
  expect(await home.shim(`restore ${id} ../other/x --yes`)).toMatchObject(failed(2, "../other/x is not in"));
  write(home.project, { "d/b.txt": "ten\n" });
  expect(await home.json(`restore ${ids.finished} d --yes`)).toMatchObject({ written: ["d/b.txt"] });
  expect((await home.json("restore --yes"))["written"]).toEqual(["a.txt"]);
  expect((await home.shimWith({ cwd: home.other }, "restore --yes")).code).toBe(3);
  expect(await home.codes(`restore ${id} a.txt --into x`, "restore nope")).toEqual([2, 3]);
});

it("what a restore that was killed has left in the project goes with the next one", async () => {
  const { home } = await withSnapshot();
  const { pid } = spawnSync("true");
  const mine = `.shim-undo-${process.pid}-used/new-0`;
  write(home.project, { "a.txt": "three\n", [`.shim-undo-${pid}-left/new-0`]: "tw", [mine]: "in use" });
  expect((await home.shim("restore --yes")).code).toBe(0);
  expect(Object.keys(contents(home.project)).toSorted()).toEqual([".env", mine, "a.txt"].toSorted());
});

/** Ctrl-C in the turn of the event loop in which it is time. */
const stoppedWhen = (isTime: () => boolean): Pick<Io, "onInterrupt"> => ({
  onInterrupt: (listener) => {
    let isOver = false;
    const poll = (): void => {
      if (isTime()) listener();
      else if (!isOver) setImmediate(poll);
    };
    setImmediate(poll);
    return () => void (isOver = true);
  },
});
const atOnce = stoppedWhen(() => true);

it("Ctrl-C stops a restore between two files and says what it did; the host completes an undo, and that is said", async () => {
  const { home } = await withLaterFolder();
  const { project } = home;
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`many/${at}`, "one\n"]));
  await saveLater(home, ids.elsewhere, many);
  write(project, Object.fromEntries(Object.keys(many).map((name) => [name, "two\n"])));
  expect(await home.shimWith(atOnce, "restore --yes")).toMatchObject(failed(130, "Nothing was restored"));
  const hasBegun = (): boolean => textsOf(project, "many/0")[0] === "one\n";
  const done = /stopped: 50 of 200 files were restored in .* What they replaced is in .*-before-\S+\. The same/;
  expect(await home.shimWith(stoppedWhen(hasBegun), "restore --yes")).toMatchObject(failed(130, done));
  expect(await home.json("restore --yes")).toMatchObject({ written: { length: 150 }, notRestored: [] });
  const undone = aCliHome();
  const rig = anUndoRig({ "a.txt": "one\n" }, { home: undone });
  await rig.turn("edit it", { tool: "Bash", work: () => write(undone.project, { "a.txt": "two\n" }) });
  const completed = { ...printed("Took back 1 file"), err: holding("The host of this machine completes") };
  expect(await undone.shimWith(atOnce, "undo --yes")).toMatchObject(completed);
});

it.each(["new", "empty"])(
  "a restore into a folder that is %s, stopped or killed, leaves nothing in the way of the next one",
  async (kind) => {
    const { home } = await withLaterFolder();
    const into = join(home.folder, "into");
    if (kind === "empty") mkdirSync(into);
    const around = kind === "empty" ? into : home.folder;
    const before = contents(around);
    const isWriting = (): boolean => readdirSync(around).some((name) => name.endsWith(".tmp"));
    const stopped = await home.shimWith(stoppedWhen(isWriting), "restore --into", into);
    expect(stopped).toMatchObject(failed(130, "it was stopped. Nothing was restored."));
    expect([contents(around), existsSync(into)]).toEqual([before, kind === "empty"]);
    write(join(around, `.into.shim-${spawnSync("true").pid}.tmp`), { "a.txt": "half" });
    expect((await home.shim("restore --into", into)).code).toBe(0);
    expect(textsOf(into, "a.txt", "d/b.txt")).toEqual(["two\n", "two\n"]);
    expect([readdirSync(into).length, isWriting()]).toEqual([2, false]);
  },
);

it("a folder that is a link now leads no file out of the project", async () => {
  const { home } = await withLaterFolder();
  rmSync(join(home.project, "d"), { recursive: true });
  symlinkSync(home.other, join(home.project, "d"));
  const notRestored = [{ path: "d/b.txt", reason: "its folder is a link out of the project" }];
  const ran = await home.shim("restore --yes --json");
  expect([ran.code, ran.json()]).toMatchObject([1, { written: [], notRestored }]);
  expect(contents(home.other)).toEqual({});
});

it("a pipe in place of a file is named and stays, and the other files are put back", async () => {
  const { home, id } = await withLaterFolder();
  const pipe = join(home.project, "d", "b.txt");
  rmSync(pipe);
  execFileSync("mkfifo", [pipe]);
  const reason = "there is a pipe, a socket or a device of this name";
  const named = `Not restored:\n  d/b.txt: ${reason}`;
  const same = new RegExp(`All other files in .* are as they were saved: nothing to restore\\.\n${named}`);
  for (const flag of ["--diff", "--yes"])
    expect(await home.shim("restore", flag)).toMatchObject({ code: 1, out: holding(same) });
  write(home.project, { "a.txt": "three\n" });
  expect(await home.shim(`restore ${id} --diff`)).toMatchObject(printed("-three\n+two\n"));
  expect(await home.shim("restore --diff")).toMatchObject({ code: 0, err: holding(named) });
  const ran = await home.shim("restore --yes --json");
  expect([ran.code, ran.json()]).toMatchObject([1, { written: ["a.txt"], notRestored: [{ path: "d/b.txt", reason }] }]);
  expect(lstatSync(pipe).isFIFO()).toBe(true);
});

it("a checkpoint without files says why, and names the session's newest that has them @night", async () => {
  const { home, id, short } = await withSnapshot();
  const set = (state: "pending" | "failed" | "done", reason: string | null): void =>
    home.runtime.store.write((sql) => void snapshots.update(sql, { checkpointId: id }, { state, reason }));
  set("pending", null);
  expect((await home.shim("restore", id)).err).toContain("(0 s ago) are not saved yet.");
  set("failed", "no space left");
  expect((await home.shim("restore", id)).err).toContain("no space left. Files are never saved later");
  set("done", null);
  home.now += 1_000;
  const entries = ["x", "next"].map((text) => ({ kind: "prompt", text }) as const);
  addSession(home, { id: ids.dead, pid: 200, entries });
  const later = checkpointOf(home, ids.dead);
  home.runtime.store.write((sql) => snapshots.delete(sql, { checkpointId: later }));
  expect(await home.shim("restore", later)).toMatchObject(failed(1, "no files were saved", `shim restore ${short}`));
});

it("`shim undo` shows files and difference, asks, can be taken back, and is in the audit log", async () => {
  const home = aCliHome();
  const { project } = home;
  expect(await home.shim("undo")).toMatchObject(failed(3, "no chat of"));
  const rig = anUndoRig({ "a.txt": "one\n", "b.txt": "one\n" }, { home });
  const work = (): void => write(project, { "a.txt": "two\n", "new.txt": "new\n", "b.txt": "two\n" });
  await rig.turn("rewrite it", { tool: "Bash", work });
  write(project, { "b.txt": "by hand\n" });
  const content = (): string => readFileSync(join(project, "a.txt"), "utf8");
  const shown = ["+one", "a.txt: put back", "new.txt: is deleted", "b.txt: it was changed since", "Add --yes"];
  expect(await home.shim("undo")).toMatchObject(failed(1, ...shown));
  expect(await home.shim("undo --diff")).toMatchObject(printed("+one"));
  const asked = (answer: string) => home.shimWith({ isInteractive: true, ask: async () => answer }, "undo", "rewrite");
  expect(await asked("n")).toMatchObject(printed("Nothing was changed."));
  expect(content()).toBe("two\n");
  const done = printed(`Took back 2 files in ${project}: chat `, /Not put back:\n {2}b\.txt: /, "shim undo --redo");
  expect(await asked("y")).toMatchObject(done);
  expect(content()).toBe("one\n");
  expect((await home.shim("undo --redo --yes")).code).toBe(0);
  expect(content()).toBe("two\n");
  const detail = { result: "done", rows: 2 };
  const entries = ["files.redone", "files.undone"].map((kind) => ({ kind, actor: "command line", detail }));
  expect(listNewest(home.runtime, 5)).toMatchObject(entries);
});

it("`shim undo` and `shim undo last` take the turn that changed files last, whichever chat it was of", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ "a.txt": "one\n" }, { home });
  await rig.turn("edit it", { tool: "Bash", work: () => write(home.project, { "a.txt": "two\n" }) });
  await rig.turn("only read it", { tool: "Read", path: "a.txt", work: () => {} });
  anotherClaude(rig.runtime, rig.claude).start();
  const shown = failed(1, /chat \S+ \(edit it\), since prompt 1, "edit it" \(.* ago\):/, "a.txt: put back");
  for (const words of [[], ["last"]]) expect(await home.shim("undo", ...words)).toMatchObject(shown);
  expect(await home.shim("undo nowhere")).toMatchObject(failed(3, 'no prompt begins with "nowhere"'));
});

/** A chat died on "desk" after its files were saved there; "laptop" has a clone of its project. */
async function withFilesElsewhere(areSent = true): Promise<CliMachines> {
  const machines = await twoCliHomes((...homes) => {
    for (const { folder, project, runtime } of homes) {
      Object.assign(runtime.env, { PATH: `${join(folder, "path")}:${process.env["PATH"]}` });
      const { config } = runtime;
      Object.assign(runtime, { config: { ...config, sync: { ...config.sync, files: areSent } } });
      git(project, "init", "-q", "-b", "main");
      git(project, "remote", "add", "origin", "git@example.com:ann/app.git");
    }
  });
  const { there, here } = machines;
  write(there.project, { "a.txt": "one\n" });
  commitAll(there.project, "first");
  git(here.project, "pull", "-q", there.project, "main");
  write(there.project, { "a.txt": "two\n", "new.txt": "new\n" });
  await loseSession(machines, async () => {
    await takePending(there.runtime, [ids.dead], new AbortController().signal);
    const sent = `1 session, 1 checkpoint, 0 deletions${areSent ? ", uncommitted files of 1 session" : ""}`;
    expect((await there.shim("workspace sync")).out).toContain(`Sent: ${sent}. Received: 0 sessions`);
  });
  return machines;
}

it("files of a chat of another machine are put back here from the workspace, in place or into a folder, and stay where they cannot be", async () => {
  const { here, server } = await withFilesElsewhere();
  const origin =
    /^Files of \S+ as session bbbb2222 \(fix the parser\) on desk had them .* ago \(checkpoint cp_\S+\)\.\n/;
  const fetched = { ...printed("-one\n+two\n", "+new\n"), err: holding("Fetching the files from the workspace") };
  expect(await here.shim("restore", ids.dead, "--diff")).toMatchObject(fetched);
  expect(textsOf(here.project, "a.txt")).toEqual(["one\n"]);
  const copied = printed(origin, `Restored 2 files into ${here.folder}/copy.\n`);
  expect(await here.shim("restore", "bbbb2222", "--into", join(here.folder, "copy"))).toMatchObject(copied);
  expect(textsOf(join(here.folder, "copy"), "a.txt", "new.txt")).toEqual(["two\n", "new\n"]);
  server.isDown = true;
  const down = { code: 1, out: holding(". Nothing was restored."), error: "edge_unreachable" };
  expect(await here.shim("restore", ids.dead, "--yes", "--json")).toMatchObject(down);
  server.isDown = false;
  const folder =
    /^shim: this folder is not the project of bbbb2222\S+ \(\S+ on desk\): run this in that project's folder on this machine\.\n$/;
  expect(await here.shimWith({ cwd: here.other }, "restore", ids.dead, "--yes")).toMatchObject(failed(1, folder));
  expect(textsOf(here.project, "a.txt")).toEqual(["one\n"]);
  const backup = `${here.project}-before-bbbb2222`;
  const put = printed(origin, `Restored 1 file in ${here.project}.\nWhat they replaced is in ${backup}.\n`);
  expect(await here.shim("restore", ids.dead, "a.txt", "--yes")).toMatchObject(put);
  expect([...textsOf(here.project, "a.txt"), ...textsOf(backup, "a.txt")]).toEqual(["two\n", "one\n"]);
  expect(existsSync(join(here.project, "new.txt"))).toBe(false);
  const unsent = await withFilesElsewhere(false);
  const none = failed(1, `the workspace has no files of ${ids.dead}: desk has sent none. Nothing was restored.\n`);
  expect(await unsent.here.shim("restore", ids.dead, "--yes")).toMatchObject(none);
});

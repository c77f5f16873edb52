import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, closeSync, existsSync, ftruncateSync, linkSync, mkdirSync } from "node:fs";
import { openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { entryOnDisk } from "#src/snapshots/file-entry.ts";
import { diskPath } from "#src/snapshots/git.ts";
import { replaceFiles, type ReplacedFiles, type Replacement } from "#src/snapshots/replace-files.ts";
import { contents, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { smallDisk } from "#harness/store/small-disk.ts";
import type { ChildTask } from "./replace-child.ts";

type Files = Readonly<Record<string, string>>;

/** A project, and beside it the files as they are to be. Names have one character a byte. */
function replacement(now: Files, then: Files, root = temporaryFolder()) {
  const [top, source] = [join(root, "project"), join(root, "then")];
  for (const [folder, files] of [
    [top, now],
    [source, then],
  ] as const) {
    mkdirSync(folder, { recursive: true });
    write(folder, files);
  }
  const changes = [...new Set([...Object.keys(now), ...Object.keys(then)])].map((path) => ({
    path: Buffer.from(path).toString("latin1"),
    before: entryOnDisk(join(top, path), "sha1"),
    after: entryOnDisk(join(source, path), "sha1"),
  }));
  return { root, top, source, changes, backup: null } satisfies Replacement & { root: string };
}

function textIn(folder: string, path: string): string | null {
  const file = join(folder, path);
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

/** What an editor, a program or a person does with the file, in a process of its own. */
const writers = {
  "saves by rename": 'printf mine > "$1.new"; mv "$1.new" "$1"',
  "writes into the file": 'printf mine > "$1"',
  "deletes it": 'rm -f "$1"',
};

const kinds = {
  replaced: [{ a: "now" }, { a: "then" }],
  deleted: [{ a: "now" }, {}],
  "made again": [{}, { a: "then" }],
} as const;

it.each(Object.keys(kinds) as (keyof typeof kinds)[])(
  "a file that is %s stays as another program leaves it between any two steps",
  async (kind) => {
    const [now, then] = kinds[kind];
    for (const [name, script] of Object.entries(writers)) {
      if (kind === "made again" && name === "deletes it") continue;
      for (let at = 1, isOver = false; !isOver; at++) {
        const work = replacement(now, then);
        let step = 0;
        const beforeStep = (): void => {
          if (++step === at) execFileSync("sh", ["-c", script, "sh", join(work.top, "a")]);
        };
        const { written, notRestored } = await replaceFiles({ ...work, beforeStep });
        isOver = step < at;
        const last = isOver ? (then as Files)["a"] : name === "deletes it" ? undefined : "mine";
        expect([name, at, textIn(work.top, "a")]).toEqual([name, at, last ?? null]);
        expect(written.length + notRestored.length).toBe(1);
        expect(readdirSync(work.top)).toEqual(last === undefined ? [] : ["a"]);
      }
    }
  },
);

it.each(["replaced", "deleted"] as const)(
  "what a program that has the file open writes into one that is %s is at its path afterwards",
  async (kind) => {
    const [now, then] = kinds[kind];
    for (let at = 1, isOver = false; !isOver; at++) {
      const work = replacement(now, then);
      const file = openSync(join(work.top, "a"), "r+");
      let step = 0;
      const beforeStep = (): void => {
        if (++step !== at) return;
        ftruncateSync(file);
        writeSync(file, "mine", 0);
      };
      const { notRestored } = await replaceFiles({ ...work, beforeStep });
      closeSync(file);
      isOver = step < at;
      if (isOver) continue;
      expect([at, textIn(work.top, "a"), notRestored]).toEqual([
        at,
        "mine",
        [{ path: "a", reason: "it was changed meanwhile" }],
      ]);
    }
  },
);

const script = join(import.meta.dirname, "replace-child.ts");

it("a replacement that was killed before any step, and is called again, is one that was not killed", async () => {
  const files: [Files, Files] = [
    { a: "now", "d/gone": "now", e: "now" },
    { a: "then", e: "then", "f/back": "then" },
  ];
  const whole = replacement(...files);
  await replaceFiles(whole);
  for (let at = 1, isOver = false; !isOver; at++) {
    const { root, ...work } = replacement(...files);
    const task: ChildTask = { ...work, killedBefore: at };
    const { signal, stderr } = spawnSync(process.execPath, [script, JSON.stringify(task)], { encoding: "utf8" });
    isOver = signal !== "SIGKILL";
    expect([at, stderr]).toEqual([at, ""]);
    const { written, notRestored } = await replaceFiles(work);
    expect([at, written.length, notRestored, contents(work.top)]).toEqual([at, 4, [], contents(whole.top)]);
    expect([existsSync(join(work.top, "d")), readdirSync(work.top).length]).toEqual([false, 3]);
    rmSync(root, { recursive: true });
  }
});

it("what a killed replacement has replaced is in its backup after the next call", async () => {
  const { root, ...work } = replacement({ a: "now", b: "now" }, { a: "then", b: "then" });
  const backup = join(root, "backup");
  const task: ChildTask = { ...work, backup, killedBefore: 5 };
  expect(spawnSync(process.execPath, [script, JSON.stringify(task)]).signal).toBe("SIGKILL");
  const other = join(root, "other");
  await replaceFiles({ ...work, backup: other });
  expect([textIn(backup, "a"), textIn(other, "a"), textIn(other, "b")]).toEqual(["now", null, "now"]);
});

it("what was written into a file after the call that replaced it was killed is not lost", async () => {
  const work = replacement({ a: "now" }, {});
  const file = openSync(join(work.top, "a"), "r+");
  const task: ChildTask = { ...work, killedBefore: 3 };
  expect(spawnSync(process.execPath, [script, JSON.stringify(task)]).signal).toBe("SIGKILL");
  expect(textIn(work.top, "a")).toBe(null);
  writeSync(file, "mine", 0);
  closeSync(file);
  await replaceFiles(work);
  expect([textIn(work.top, "a"), readdirSync(work.top)]).toEqual(["mine", ["a"]]);
});

it("a file is put back with its rights, and a link as a link", async () => {
  const work = replacement(
    { key: "now", run: "now", plain: "now", link: "now" },
    { key: "then", run: "then", plain: "then" },
  );
  for (const [name, mode] of Object.entries({ key: 0o600, run: 0o700, plain: 0o664 }))
    chmodSync(join(work.source, name), mode);
  symlinkSync("nowhere", join(work.source, "link"));
  const changes = work.changes.map((one) => ({ ...one, after: entryOnDisk(join(work.source, one.path), "sha1") }));
  const seen = new Set<number>();
  const beforeStep = (): void => {
    const folder = readdirSync(work.top).find((name) => name.startsWith(".shim-undo-")) ?? "";
    seen.add(statSync(join(work.top, folder)).mode & 0o777);
  };
  await replaceFiles({ ...work, changes, beforeStep });
  const modes = ["key", "run", "plain"].map((name) => (statSync(join(work.top, name)).mode & 0o777).toString(8));
  expect([modes, [...seen]]).toEqual([["600", "700", "664"], [0o700]]);
  expect(entryOnDisk(join(work.top, "link"), "sha1")).toBe(entryOnDisk(join(work.source, "link"), "sha1"));
});

it("names that are no UTF-8 are put back", async () => {
  const { top, source } = replacement({}, {});
  const path = "d\xff/a\xe9";
  mkdirSync(diskPath(source, "d\xff"));
  appendFileSync(diskPath(source, path), "then");
  const changes = [{ path, before: null, after: entryOnDisk(diskPath(source, path), "sha1") }];
  expect((await replaceFiles({ top, source, changes, backup: null })).notRestored).toEqual([]);
  expect(readFileSync(diskPath(top, path), "utf8")).toBe("then");
});

it("a file may take the place of a folder, a folder that of a file or a link", async () => {
  const work = replacement({}, {});
  write(work.top, { "a/x": "now", b: "now" });
  symlinkSync(work.root, join(work.top, "c"));
  write(work.source, { a: "then", "b/y": "then", "c/z": "then" });
  const gone = ["a/x", "b", "c"].map((path) => ({
    path,
    before: entryOnDisk(join(work.top, path), "sha1"),
    after: null,
  }));
  const back = ["a", "b/y", "c/z"].map((path) => ({
    path,
    before: null,
    after: entryOnDisk(join(work.source, path), "sha1"),
  }));
  const changes = [...back, ...gone];
  expect((await replaceFiles({ ...work, changes })).notRestored).toEqual([]);
  expect(contents(work.top)).toEqual(contents(work.source));
  expect(existsSync(join(work.root, "z"))).toBe(false);
});

it("a file that is put back takes the place of the one that is there, which is not written over", async () => {
  const work = replacement({ a: "now" }, { a: "then" });
  // A file that is written over would change under this name, too.
  linkSync(join(work.top, "a"), join(work.root, "kept"));
  await replaceFiles(work);
  expect([textIn(work.top, "a"), textIn(work.root, "kept")]).toEqual(["then", "now"]);
});

it("a full disk ends with nothing changed, and with room again all is put back", async (test) => {
  const large = "x".repeat(100_000);
  const names = Array.from({ length: 10 }, (_, at) => `f${at}`);
  const root = temporaryFolder();
  const work = replacement({}, {}, root);
  const disk = smallDisk(test, 2, join(root, "disk"));
  write(disk, Object.fromEntries(names.map((name) => [name, "short"])));
  write(work.source, Object.fromEntries(names.map((name) => [name, large])));
  const changes = names.map((path) => ({
    path,
    before: entryOnDisk(join(disk, path), "sha1"),
    after: entryOnDisk(join(work.source, path), "sha1"),
  }));
  write(disk, { filler: Buffer.alloc(2_097_152 - 500_000).toString("latin1") });
  const full = { ...work, changes, top: disk };
  const left = names.map((path) => ({ path, reason: "the disk is full" }));
  expect(await replaceFiles(full)).toEqual({ written: [], notRestored: left, backup: null });
  expect([names.map((name) => textIn(disk, name)), readdirSync(disk).length]).toEqual([names.map(() => "short"), 11]);
  rmSync(join(disk, "filler"));
  expect((await replaceFiles(full)).written.length).toBe(10);
  expect(names.map((name) => textIn(disk, name))).toEqual(names.map(() => large));
});

it("a disk that is mounted in the project is no reason to leave its files", async (test) => {
  const work = replacement({ a: "now" }, { a: "then", "m/b": "then", "m/d/c": "then" });
  const disk = smallDisk(test, 1, join(work.top, "m"));
  write(disk, { b: "now", "d/c": "now" });
  const changes = ["a", "m/b", "m/d/c"].map((path) => ({
    path,
    before: entryOnDisk(join(work.top, path), "sha1"),
    after: entryOnDisk(join(work.source, path), "sha1"),
  }));
  const backup = join(work.root, "backup");
  const done: ReplacedFiles = await replaceFiles({ ...work, changes, backup });
  expect([done.notRestored, contents(work.top)]).toEqual([[], contents(work.source)]);
  expect(["a", "m/b", "m/d/c"].map((path) => textIn(backup, path))).toEqual(["now", "now", "now"]);
});

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { append, drain, isEmpty, remove, survey, type SpoolEntry } from "#src/store/spool.ts";
import { aCliHome, holding } from "#harness/machine/cli-home.ts";
import { aProject, Claude, journalKinds } from "#harness/machine/claude.ts";
import { T0, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { tempHome } from "#harness/store/temp-store.ts";

function drained(folder: string): SpoolEntry[] {
  const entries: SpoolEntry[] = [];
  drain(folder, (entry) => void entries.push(entry));
  return entries;
}

/** What is no spool file, under names of spool files. */
function litter(folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(folder, "77-77.jsonl"));
  symlinkSync(join(folder, "none"), join(folder, "78-78.jsonl"));
  spawnSync("mkfifo", [join(folder, "79-79.jsonl")]);
  writeFileSync(join(folder, "80-80.jsonl"), "");
  truncateSync(join(folder, "80-80.jsonl"), 200_000_000);
  return readdirSync(folder).toSorted();
}

it("[ST33] what cannot be read is passed over and named; all else of the spool is applied", () => {
  const folder = tempHome().spool;
  const names = litter(folder);
  append(folder, { at: T0 });
  writeFileSync(join(folder, "1-1.jsonl"), `{"at":${T0 + 1}}\n{"at":17000,"te`);
  expect(isEmpty(folder)).toBe(false);
  expect(drained(folder)).toEqual([{ at: T0 }, { at: T0 + 1 }]);
  expect(isEmpty(folder)).toBe(true);
  expect(readdirSync(folder).toSorted()).toEqual(names);
  expect(
    survey(folder)
      .unreadable.map(({ name }) => name)
      .toSorted(),
  ).toEqual(names);
});

it("[ST33] a spool that is a file, a link to nothing or in a file is no spool: nothing waits there, and it is named", () => {
  for (const make of [
    (path: string) => writeFileSync(path, "a file"),
    (path: string) => symlinkSync("/nonexistent/disk", path),
  ]) {
    const { spool: folder } = tempHome();
    mkdirSync(dirname(folder), { recursive: true });
    make(folder);
    expect([isEmpty(folder), drained(folder)]).toEqual([true, []]);
    expect(survey(folder).unreadable).toHaveLength(1);
    expect(() => append(folder, { at: T0 })).toThrow();
  }
  expect(survey(tempHome().spool)).toEqual({ waiting: [], unreadable: [] });
});

it("[ST33] a file or a folder of another user holds nothing up", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  const foreign = join(folder, "77-77.jsonl");
  writeFileSync(foreign, `{"at":${T0 + 1}}\n`, { mode: 0o600 });
  const isRoot = process.getuid?.() === 0;
  if (isRoot)
    for (const path of [
      dirname(dirname(folder)),
      dirname(folder),
      folder,
      ...readdirSync(folder).map((name) => join(folder, name)),
    ])
      chownSync(path, 65_534, 65_534);
  if (isRoot) chownSync(foreign, 0, 0);
  else chmodSync(foreign, 0);
  const script = `import { drain, isEmpty, survey } from ${JSON.stringify(join(import.meta.dirname, "../../../src/store/spool.ts"))};
    const folder = ${JSON.stringify(folder)};
    const seen = [];
    drain(folder, ({ at }) => seen.push(at - ${T0}));
    console.log(JSON.stringify([seen, isEmpty(folder), survey(folder).unreadable]));`;
  const child = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });
  expect([child.stderr, JSON.parse(child.stdout)]).toEqual([
    "",
    [[0], true, [{ name: "77-77.jsonl", reason: "EACCES" }]],
  ]);
});

it("[ST33] [HO8] beside what cannot be read hooks save as ever, and a start tells of what died", () => {
  const runtime = tempRuntime();
  const names = litter(runtime.paths.spool);
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.start();
  claude.turn("fix the parser");
  expect(journalKinds(runtime, claude.session)).toContain("prompt");
  expect(readdirSync(runtime.paths.spool).toSorted()).toEqual(names);
  claude.kill();
  const next = new Claude(runtime, { cwd: claude.cwd, pid: 2_000, session: "another-session" });
  expect(next.start()).toContain("fix the parser");
});

it("[ST33] [HO8] where the spool is a file, events go into the store", () => {
  const runtime = tempRuntime();
  mkdirSync(runtime.paths.home, { recursive: true });
  writeFileSync(runtime.paths.spool, "");
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("fix the parser");
  expect(journalKinds(runtime, claude.session)).toContain("prompt");
  expect(runtime.logged.filter((line) => line.includes("lost"))).toEqual([]);
});

it("[ST32] [ST33] forgetting says which file of the spool it could not read, once it has done all others", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0, session: "a" });
  litter(folder);
  expect(() => remove(folder, (entry) => entry["session"] === "a")).toThrow("80-80.jsonl (too large");
  expect(drained(folder)).toEqual([]);
});

it("[CL130] doctor names what the spool passes over, with what to do", async () => {
  const home = aCliHome();
  litter(home.paths.spool);
  const { out } = await home.shim("doctor");
  for (const name of ["77-77.jsonl", "78-78.jsonl", "79-79.jsonl", "80-80.jsonl"]) {
    expect(out).toMatch(new RegExp(`warn  spool: .*${name} is skipped \\(.*\\n      fix: `));
  }
  const other = aCliHome();
  mkdirSync(other.paths.home, { recursive: true });
  for (const name of ["spool", "backups"]) writeFileSync(join(other.paths.home, name), "");
  expect((await other.shim("doctor")).out).toEqual(holding(/fail {2}spool: .*ENOTDIR/, /\d+ ok, /));
  expect(readFileSync(join(other.paths.home, "spool"), "utf8")).toBe("");
});

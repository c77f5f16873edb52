import { execFile, spawnSync, type ExecFileOptions } from "node:child_process";
import * as fs from "node:fs";
import { join, dirname } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import {
  append,
  drain,
  remove,
  isEmpty,
  retrySetAside,
  survey,
  type DrainOptions,
  type SpoolEntry,
} from "#src/store/spool.ts";
import { T0, tempHome } from "#harness/store/store-test.ts";
import { aCliHome, holding } from "#harness/machine/cli-home.ts";

/** A process of its own does this with the spool in `folder`. @returns what it prints */
async function inProcess(folder: string, body: string, options: ExecFileOptions = {}): Promise<string> {
  const source = JSON.stringify(join(import.meta.dirname, "../../../src/store/spool.ts"));
  const script = `import { append, drain, isEmpty, survey } from ${source};
    const folder = ${JSON.stringify(folder)}; ${body}`;
  const env = { ...process.env, NODE_NO_WARNINGS: "1" };
  const args = ["--input-type=module-typescript", "-e", script];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env, ...options });
  expect(stderr).toBe("");
  return String(stdout);
}

function drained(folder: string, options: DrainOptions = {}): SpoolEntry[] {
  const entries: SpoolEntry[] = [];
  expect(drain(folder, (entry) => void entries.push(entry), options)).toBe(entries.length);
  return entries;
}

/** A name that sorts like the entry's time. */
const nameOf = (n: number): string => `${String(n).padStart(15, "0")}-000001-1.json`;

it("each entry waits in a private file of its own, is applied in the order of time, and then its file is gone; an unfinished one is none", () => {
  const folder = tempHome().spool;
  for (const n of [2, 1, 3]) append(folder, { at: T0 + n, text: "ä" });
  const files = fs.readdirSync(folder);
  expect(files).toHaveLength(3);
  for (const file of files) expect(fs.statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
  const unfinished = `.${nameOf(T0)}.shim-1.tmp`;
  fs.writeFileSync(join(folder, unfinished), '{"at":17000,"text":"to');
  expect(drained(folder)).toEqual([1, 2, 3].map((n) => ({ at: T0 + n, text: "ä" })));
  expect([fs.readdirSync(folder), drained(folder), drained(join(folder, "none"))]).toEqual([[unfinished], [], []]);
});

it("a full spool refuses with a clear error and keeps what it has", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 }, 30);
  expect(() => append(folder, { at: T0 + 1 }, 30)).toThrow(/could store.*shim doctor.*not kept/);
  expect(drained(folder)).toEqual([{ at: T0 }]);
});

it("an entry with which two processes have died is set aside and named; what is before and behind it is applied", async () => {
  const home = aCliHome();
  const folder = home.paths.spool;
  for (const n of [1, 2, 3]) append(folder, { at: T0 + n });
  const die = `drain(folder, ({ at }) => { if (at === ${T0 + 2}) process.kill(process.pid, "SIGKILL"); });`;
  for (let n = 0; n < 2; n++) await expect(inProcess(folder, die)).rejects.toMatchObject({ signal: "SIGKILL" });
  expect(drained(folder)).toEqual([{ at: T0 + 3 }]);
  expect(drained(folder)).toEqual([]);
  expect(survey(folder)).toMatchObject({ waiting: [], unreadable: [{ reason: expect.stringContaining("2 times") }] });
  append(folder, { at: T0 + 4 });
  fs.truncateSync(join(folder, fs.readdirSync(folder).find((name) => name.endsWith(".json")) ?? ""), 5);
  expect(drained(folder)).toEqual([]);
  const { out } = await home.shim("doctor");
  expect(out).toMatch(
    /warn {2}spool: .*\.fatal is skipped \(the host ended 2 times.*\n {6}fix: The host tries it again by itself/,
  );
  expect(out).toMatch(/\.unreadable is skipped \(no whole event.*\n {6}fix: Nothing reads it again/);
  for (const name of fs.readdirSync(folder)) if (name.endsWith(".unreadable")) fs.rmSync(join(folder, name));
  remove(folder, ({ at }) => at === T0 + 2);
  expect(fs.readdirSync(folder)).toEqual([]);
});

it("an entry that was set aside is tried once again ten minutes later, then after twice the time", async () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  const die = (): Promise<unknown> =>
    expect(inProcess(folder, "drain(folder, () => process.kill(process.pid, 'SIGKILL'));")).rejects.toBeDefined();
  await die();
  await die();
  expect(drained(folder)).toEqual([]);
  const setAsideAt = (): number => fs.statSync(join(folder, fs.readdirSync(folder)[0] ?? "")).ctimeMs;
  const retry = (ms: number): boolean => {
    retrySetAside(folder, setAsideAt() + ms);
    return !isEmpty(folder);
  };
  expect([retry(599_000), retry(600_000)]).toEqual([false, true]);
  await die();
  expect(drained(folder)).toEqual([]);
  // It waits since an hour before it was set aside.
  fs.utimesSync(join(folder, fs.readdirSync(folder)[0] ?? ""), 0, setAsideAt() / 1_000 - 3_600);
  expect([retry(3_590_000), retry(3_610_000)]).toEqual([false, true]);
  expect(drained(folder)).toEqual([{ at: T0 }]);
  expect(fs.readdirSync(folder)).toEqual([]);
});

it("an entry that cannot be applied stays, with all behind it, and nothing that is written meanwhile is lost", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  append(folder, { at: T0 + 1 });
  const fails = (): number =>
    drain(folder, ({ at }) => {
      if (at > T0) throw new Error("store is locked");
    });
  expect(fails).toThrow("store is locked");
  append(folder, { at: T0 + 2 });
  expect(fails).toThrow("store is locked");
  append(folder, { at: T0 + 3 });
  expect(drained(folder).map(({ at }) => at - T0)).toEqual([1, 2, 3]);
  expect(fs.readdirSync(folder)).toEqual([]);
});

const writing = (name: number): string => `for (let n = 0; n < 100; n++) {
  append(folder, { at: n, id: "${name}." + n });
  console.log("+${name}." + n);
  if (n % 2 === 0) drain(folder, ({ id }) => console.log("-" + id));
}`;

it("several processes write and drain at once: every acknowledged entry is applied @night", async () => {
  const folder = tempHome().spool;
  const ran = [0, 1, 2, 3].map((name) => inProcess(folder, writing(name)));
  const words = (await Promise.all(ran)).join("").split("\n");
  const signed = (sign: string) => words.flatMap((word) => (word.startsWith(sign) ? [word.slice(1)] : []));
  const [written, applied] = [signed("+"), signed("-")];
  const all = new Set([...applied, ...drained(folder).map(({ id }) => String(id))]);
  expect(written).toHaveLength(4 * 100);
  expect(written.filter((id) => !all.has(id))).toEqual([]);
});

it("a long queue is applied in portions, the oldest first", () => {
  const folder = tempHome().spool;
  for (let n = 0; n < 20; n++) append(folder, { at: T0 + n });
  const seen: number[] = [];
  let left = 3;
  const some = (options: object): number => drain(folder, ({ at }) => void seen.push(at - T0), options);
  expect(some({ maxFiles: 5 })).toBe(5);
  expect(some({ isTimeUp: () => (left -= 1) < 0 })).toBe(4);
  expect(some({ isTimeUp: () => true })).toBe(1);
  expect(some({})).toBe(10);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
});

/** What is no spool file, under names of spool files. */
function litter(folder: string): string[] {
  fs.mkdirSync(folder, { recursive: true });
  fs.mkdirSync(join(folder, nameOf(77)));
  fs.symlinkSync(join(folder, "none"), join(folder, nameOf(78)));
  spawnSync("mkfifo", [join(folder, nameOf(79))]);
  fs.writeFileSync(join(folder, nameOf(80)), "");
  fs.truncateSync(join(folder, nameOf(80)), 200_000_000);
  return fs.readdirSync(folder).toSorted();
}

it("what cannot be read is passed over and named; all else of the spool is applied", () => {
  const folder = tempHome().spool;
  const names = litter(folder);
  append(folder, { at: T0 });
  append(folder, { at: T0 + 1 });
  expect(isEmpty(folder)).toBe(false);
  expect(drained(folder)).toEqual([{ at: T0 }, { at: T0 + 1 }]);
  expect(isEmpty(folder)).toBe(true);
  expect(fs.readdirSync(folder).toSorted()).toEqual(names);
  const { unreadable } = survey(folder);
  expect(unreadable.map(({ name }) => name).toSorted()).toEqual(names);
});

it("a spool that is a file, a link to nothing or in a file is no spool: nothing waits there, and it is named", () => {
  for (const kind of ["file", "link"]) {
    const { spool: folder } = tempHome();
    fs.mkdirSync(dirname(folder), { recursive: true });
    if (kind === "file") fs.writeFileSync(folder, "a file");
    else fs.symlinkSync("/nonexistent/disk", folder);
    expect([isEmpty(folder), drained(folder)]).toEqual([true, []]);
    expect(survey(folder).unreadable).toHaveLength(1);
    expect(() => append(folder, { at: T0 })).toThrow();
  }
  expect(survey(tempHome().spool)).toEqual({ waiting: [], unreadable: [] });
});

it("a file or a folder of another user holds nothing up", async () => {
  const folder = tempHome().spool;
  append(folder, { at: T0 });
  const foreign = join(folder, nameOf(77));
  fs.writeFileSync(foreign, `{"at":${T0 + 1}}\n`, { mode: 0o600 });
  const isRoot = process.getuid?.() === 0;
  const files = fs.readdirSync(folder).map((name) => join(folder, name));
  if (isRoot)
    for (const one of [dirname(dirname(folder)), dirname(folder), folder, ...files]) fs.chownSync(one, 65_534, 65_534);
  if (isRoot) fs.chownSync(foreign, 0, 0);
  else fs.chmodSync(foreign, 0);
  const body = `const seen = [];
    drain(folder, ({ at }) => seen.push(at - ${T0}));
    console.log(JSON.stringify([seen, isEmpty(folder), survey(folder).unreadable]));`;
  const printed = await inProcess(folder, body, isRoot ? { uid: 65_534, gid: 65_534 } : {});
  expect(JSON.parse(printed)).toEqual([[0], true, [{ name: nameOf(77), reason: "EACCES" }]]);
});

it("entries of what is forgotten are removed; a file that cannot be read is named once all others are done", () => {
  const folder = tempHome().spool;
  append(folder, { at: T0, session: "a" });
  append(folder, { at: T0 + 1, session: "b" });
  append(folder, { at: 1, session: "a" });
  remove(join(folder, "none"), () => true);
  litter(folder);
  expect(() => remove(folder, (entry) => entry["session"] === "a")).toThrow(`${nameOf(80)} (too large`);
  expect(drained(folder)).toEqual([{ at: T0 + 1, session: "b" }]);
});

it("doctor names a spool that is a file, and leaves it", async () => {
  const home = aCliHome();
  fs.mkdirSync(home.paths.home, { recursive: true });
  for (const name of ["spool", "backups"]) fs.writeFileSync(join(home.paths.home, name), "");
  expect((await home.shim("doctor")).out).toEqual(holding(/fail {2}spool: .*ENOTDIR/, /\d+ ok, /));
  expect(fs.readFileSync(home.paths.spool, "utf8")).toBe("");
});

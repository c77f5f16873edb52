import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, basename } from "node:path";
import type { TestContext } from "vitest";
import type { Driver } from "#src/store/driver.ts";
import { Rng } from "../../sim/sim.ts";
import { GIT_ENV, makeRepository, temporaryFolder } from "#harness/machine/git-project.ts";
import type { PowerTask } from "./child.ts";
import { compiled } from "#harness/machine/programs.ts";
import { Disk, readRecording, type Record } from "./disk.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { listBackups } from "#src/store/backup.ts";
import { isSound } from "#src/store/database.ts";
import * as notices from "#src/store/notices.ts";
import * as spool from "#src/store/spool.ts";
import { Store } from "#src/store/store.ts";
import { messageOf } from "#src/shared/error.ts";
import { addJournal, addSession, column } from "#harness/store/store-test.ts";

type Recording = ReturnType<typeof record>;

/** In memory where there is such a folder: what is looked at after a cut need not survive one. */
const imagesIn = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const CHILD = join(import.meta.dirname, "child.ts");

/** Lets a process save, back up, forget and repair, and records what it asks of the disk. Needs Linux and a C compiler: elsewhere the test is skipped with the reason. */
export function record(test: TestContext, task: Omit<PowerTask, "home" | "project"> & { hasProject: boolean }) {
  if (process.platform !== "linux") test.skip("what a process asks of the disk is recorded on Linux only");
  const library = compiled(test, join(import.meta.dirname, "record.c"), "-ldl", "-lpthread");
  const folder = temporaryFolder();
  const [root, trace] = [join(folder, "disk"), join(folder, "trace")];
  mkdirSync(root);
  const project = task.hasProject ? join(folder, "project") : null;
  if (project !== null) makeRepository(project);
  const given: PowerTask = { ...task, home: join(root, "data", "shim"), project };
  const recorded = { LD_PRELOAD: library, SHIM_RECORD_ROOT: root, SHIM_RECORD_TO: trace, UV_USE_IO_URING: "0" };
  const env = { ...process.env, ...GIT_ENV, ...recorded };
  const options = { env, encoding: "utf8", maxBuffer: 100_000_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, JSON.stringify(given)], options);
  if (status !== 0 || !stdout.includes("+end")) throw new Error(`the recorded process failed (${status}): ${stderr}`);
  const records = readRecording(trace);
  mustBeWhole(root, records);
  return { root, records };
}

/** A recording that misses a write would prove nothing: played to its end it is what is there. */
function mustBeWhole(root: string, records: readonly Record[]): void {
  const disk = new Disk(root);
  for (const one of records) disk.apply(one);
  const played = disk.files();
  const there = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
    statSync(join(root, path)).isFile(),
  );
  const wrong = [...new Set([...there, ...played.keys()])].filter((path) => {
    // SQLite maps this one into memory, and makes it anew after a power cut.
    if (path.endsWith("-shm")) return false;
    const bytes = played.get(path);
    return !bytes || !there.includes(path) || !bytes.equals(readFileSync(join(root, path)));
  });
  if (wrong.length > 0) throw new Error(`the recording is not whole: ${wrong.slice(0, 5).join(", ")}`);
}

/** Cuts the power at as many moments, each with another part of the unsynced changes on the disk. Answers what broke, in words. */
export function cutPower(
  { root, records }: Recording,
  { driver, seed, count }: { driver: Driver; seed: number; count: number },
): string[] {
  const rng = new Rng(seed);
  const changes = records.flatMap((one, at) => (one.kind === "M" ? [] : [at]));
  const moments = Array.from({ length: count }, () => rng.pick(changes)).sort((a, b) => a - b);
  const disk = new Disk(root);
  const promised = new Promised();
  const faults: string[] = [];
  let next = 0;
  for (const [at, one] of records.entries()) {
    for (; moments[next] === at; next++) {
      const image = mkdtempSync(join(imagesIn, "shim-cut-"));
      try {
        disk.afterPowerLoss(image, rng);
        const found = broken(driver, root, image, join(image, "data", "shim"), promised);
        faults.push(...found.map((fault) => `cut ${next}, before record ${at}: ${fault}`));
      } finally {
        rmSync(image, { recursive: true, force: true });
      }
    }
    if (one.kind === "M") promised.add(one.data.toString());
    else disk.apply(one);
  }
  return faults;
}

/** What was acknowledged before a cut, by the lines that the process printed. */
class Promised {
  readonly rows = new Set<string>();
  readonly snapshots = new Map<string, { commit: string; repository: string }>();
  readonly forgotten: string[] = [];
  readonly dropped: { commit: string; repository: string }[] = [];
  backup: string | null = null;
  settings = 0;
  repairs = 0;

  add(text: string): void {
    for (const line of text.trim().split("\n")) {
      const [kind = "", what = "", first = "", second = ""] = line.slice(1).split(" ");
      this.#on[kind]?.(what, first, second);
    }
  }

  readonly #on: Partial<{ [kind: string]: (what: string, first: string, second: string) => void }> = {
    row: (key) => void this.rows.add(key),
    settings: (number) => (this.settings = Number(number)),
    repair: () => (this.repairs += 1),
    backup: (path) => (this.backup = path),
    forgotten: (text) => void this.forgotten.push(text),
    snapshot: (id, commit, repository) => void this.snapshots.set(id, { commit, repository }),
    dropped: (commit, repository) => void this.dropped.push({ commit, repository }),
    // It is being forgotten: from here on it may be there or not.
    unsaved: (what) => {
      this.rows.delete(what);
      this.snapshots.delete(what);
      if (what === "backups") this.backup = null;
    },
  };
}

/**
 * What is broken in a home after a cut, in words; empty: all that was promised holds.
 *
 * @param from the recorded folder, of which `to` is what was left
 */
function broken(driver: Driver, from: string, to: string, home: string, promised: Promised): string[] {
  const paths = pathsIn(home);
  const here = (path: string): string => path.replace(from, to);
  const before = [...settingsFault(paths, promised), ...(existsSync(home) ? traces(home, promised) : [])];
  const store = new Store({ path: paths.database, driver, now: () => 1_800_000_000_000, busyMs: 1_000 });
  try {
    return [
      ...before,
      ...backupFaults(driver, paths, promised),
      ...storeFaults(store, paths, promised),
      ...snapshotFaults(promised, here),
    ];
  } catch (error) {
    return [...before, `the store cannot be used: ${messageOf(error)}`];
  } finally {
    store.close();
  }
}

function storeFaults(store: Store, paths: Paths, promised: Promised): string[] {
  store.write((sql) => addSession(sql, { id: "later" }));
  if (existsSync(paths.spool))
    spool.drain(paths.spool, ({ key, at }) =>
      store.write((sql) => void addJournal(sql, { session: "later", key: String(key), at })),
    );
  const stored = new Set(store.read((sql) => column(sql, "SELECT key FROM journal"), []));
  const lost = [...promised.rows].filter((key) => !stored.has(key));
  const reported = store.read(notices.list, []).map(({ kind, text }) => `${kind}: ${text}`);
  return [
    ...(lost.length > 0 ? [`${lost.length} acknowledged rows are lost: ${lost.slice(0, 5).join(", ")}`] : []),
    ...(isSound(store.connection()) ? [] : ["the store is not sound"]),
    ...(reported.length > promised.repairs ? [`it is reported that ${reported.at(-1)}`] : []),
  ];
}

function numberOf(path: string): number {
  return Number.parseInt(basename(path), 10);
}

/** Whatever is offered as a backup is whole, and the last one that was acknowledged is there. */
function backupFaults(driver: Driver, paths: Paths, promised: Promised): string[] {
  const faults: string[] = [];
  const listed = listBackups(paths.backups);
  for (const { path } of listed) {
    const copy = driver({ path, readOnly: true, busyMs: 0 });
    try {
      if (!isSound(copy)) faults.push(`the backup ${path} is not sound`);
    } catch (error) {
      faults.push(`the backup ${path} cannot be read: ${messageOf(error)}`);
    } finally {
      copy.close();
    }
  }
  // A newer one that was not acknowledged yet is as good.
  const isThere = listed.some(({ path }) => numberOf(path) >= numberOf(promised.backup ?? ""));
  if (promised.backup !== null && !isThere) faults.push("the acknowledged backup is gone");
  return faults;
}

function settingsFault(paths: Paths, { settings }: Promised): string[] {
  const path = join(paths.home, "settings.json");
  if (!existsSync(path)) return settings > 0 ? ["settings.json is gone"] : [];
  const text = readFileSync(path, "utf8");
  try {
    const { number } = JSON.parse(text) as { number: number };
    return number < settings ? [`settings.json is older (${number}) than acknowledged (${settings})`] : [];
  } catch {
    return [`settings.json is half-written: ${text.length} characters`];
  }
}

function traces(home: string, { forgotten }: Promised): string[] {
  const found: string[] = [];
  for (const name of forgotten.length > 0 ? readdirSync(home, { recursive: true, encoding: "utf8" }) : []) {
    const path = join(home, name);
    if (!statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    for (const text of forgotten) if (bytes.includes(text)) found.push(`${text} was forgotten, and stands in ${name}`);
  }
  return found;
}

function snapshotFaults({ snapshots, dropped }: Promised, here: (path: string) => string): string[] {
  const git = (repository: string, ...args: string[]): string | null => {
    const { status, stdout } = spawnSync("git", ["--git-dir", here(repository), ...args], { encoding: "utf8" });
    return status === 0 ? stdout.trim() : null;
  };
  return [
    ...[...snapshots].flatMap(([id, { commit, repository }]) => {
      const isThere = git(repository, "rev-parse", `refs/shim/${id}`) === commit;
      const isWhole = isThere && git(repository, "cat-file", "blob", `${commit}:work.txt`)?.startsWith(`${id} `);
      return isWhole ? [] : [`the snapshot ${id} is ${isThere ? "not whole" : "gone"}`];
    }),
    ...dropped.flatMap(({ commit, repository }) =>
      git(repository, "cat-file", "-e", commit) === null ? [] : [`the dropped snapshot ${commit} is back`],
    ),
  ];
}

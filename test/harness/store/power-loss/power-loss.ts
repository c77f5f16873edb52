import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "vitest";
import type { Driver } from "#src/store/driver.ts";
import { Rng } from "../../../sim/rng.ts";
import { GIT_ENV, makeRepository, temporaryFolder } from "#harness/machine/git-project.ts";
import { broken, Promised } from "./after-cut.ts";
import type { PowerTask } from "./child.ts";
import { Disk } from "./disk.ts";
import { readRecording, recorded, recorder, type Record } from "./recording.ts";

interface Recording {
  /** The folder of which every change was recorded. */
  readonly root: string;
  readonly records: readonly Record[];
}

/** In memory where there is such a folder: what is looked at after a cut need not survive one. */
const imagesIn = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const CHILD = join(import.meta.dirname, "child.ts");

/** Lets a process save, back up, forget and repair, and records what it asks of the disk. */
export function record(
  test: TestContext,
  task: Omit<PowerTask, "home" | "project"> & { hasProject: boolean },
): Recording {
  const library = recorder(test);
  const folder = temporaryFolder();
  const [root, trace] = [join(folder, "disk"), join(folder, "trace")];
  mkdirSync(root);
  const project = task.hasProject ? join(folder, "project") : null;
  if (project !== null) makeRepository(project);
  const given: PowerTask = { ...task, home: join(root, "data", "shim"), project };
  const env = { ...process.env, ...GIT_ENV, ...recorded(library, root, trace) };
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

interface Cuts {
  readonly driver: Driver;
  readonly seed: number;
  readonly count: number;
  /** What is left out of the recording, to see that it is missed. */
  readonly ignores?: (record: Record) => boolean;
}

/** Cuts the power at as many moments, each with another part of the unsynced changes on the disk. Answers what broke, in words. */
export function cutPower({ root, records }: Recording, { driver, seed, count, ignores = () => false }: Cuts): string[] {
  const rng = new Rng(seed);
  const changes = records.flatMap((one, at) => (one.kind === "said" ? [] : [at]));
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
    if (one.kind === "said") promised.add(one.text);
    else if (!ignores(one)) disk.apply(one);
  }
  return faults;
}

import { randomBytes } from "node:crypto";
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathsIn } from "#src/platform/paths.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { backUp } from "#src/store/copy-store.ts";
import { setAside } from "#src/store/repair.ts";
import type { DriverName } from "#src/store/driver.ts";
import { forget, purge } from "#src/machine/view/keeping/forget.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import { migrations, Store } from "#src/store/store.ts";
import * as spool from "#src/store/spool.ts";
import { createPrivateFolder, inodeOf, writeAtomically } from "#src/platform/private-files.ts";
import { Rng } from "../../sim/sim.ts";
import { addJournal, addSession } from "#harness/store/store-test.ts";

/** What this process is to do; see power-loss.ts, which judges what is left of it. */
export interface PowerTask {
  readonly home: string;
  readonly project: string | null;
  readonly driver: DriverName;
  readonly seed: number;
  readonly steps: number;
}

/** A line `+<kind> <what>` says that something is kept from now on, whatever happens. */
function say(kind: string, ...what: readonly (string | number)[]): void {
  writeSync(1, `+${[kind, ...what].join(" ")}\n`);
}

const machine = { env: process.env, processes: systemProcesses };
const task = JSON.parse(process.argv[2] ?? "") as PowerTask;
const rng = new Rng(task.seed);
const paths = pathsIn(task.home);
const { open: driver, fallbackReason } = await loadDriver(task.driver);
if (fallbackReason) throw new Error(fallbackReason);
let clock = 1_700_000_000_000;
const now = (): number => (clock += 1_000);
const later = "ALTER TABLE sessions ADD COLUMN later TEXT";
const upgrade = { id: migrations.length + 1, name: "later", statements: [later] };
const opened = (known = migrations): Store =>
  new Store({ path: paths.database, driver, now, busyMs: 5_000, migrations: known });

let store = opened();
let rows = 0;
let settings = 0;
const snapshots: { id: string; commit: string; repository: string }[] = [];

function saveRow(session: string, text: string): void {
  const key = `row-${(rows += 1)}`;
  store.write((sql) => {
    addSession(sql, { id: session });
    addJournal(sql, { session, key, at: now(), text: text.padEnd(rng.between(10, 6_000), " x") });
  });
  say("row", key);
}

async function forgetSession(): Promise<void> {
  const secret = `forget-me-${rows}-${randomBytes(8).toString("hex")}`;
  saveRow(secret, secret);
  spool.append(paths.spool, { at: now(), session_id: secret, key: "of no concern" });
  if (rng.chance(0.5)) await backUp(store, now(), 3);
  // The deletion may be on the disk before its commit is answered.
  say("unsaved", `row-${rows}`);
  store.write((sql) => forget(sql, { session: secret }));
  say("unsaved", "backups");
  await purge({ store, paths });
  say("forgotten", secret);
}

function spoolRow(): void {
  const key = `row-${(rows += 1)}`;
  spool.append(paths.spool, { at: now(), key });
  say("row", key);
}

function drainSpool(): void {
  spool.drain(paths.spool, ({ at, key }) =>
    store.write((sql) => void addJournal(sql, { session: "kept", key: String(key), at })),
  );
}

function writeSettings(): void {
  createPrivateFolder(paths.home);
  const text = JSON.stringify({ number: (settings += 1), text: "s".repeat(700) });
  writeAtomically(join(paths.home, "settings.json"), text);
  say("settings", settings);
}

function repair(): void {
  say("repair");
  const inode = inodeOf(paths.database);
  setAside(store.context, { inode, isCertain: true, isIndexOnly: false, message: "said by a test" });
}

function reopen(): void {
  store.close();
  store = opened([...migrations, upgrade]);
}

const steps: readonly (readonly [weight: number, run: () => void | Promise<void>])[] = [
  [12, () => saveRow("kept", "text")],
  [6, spoolRow],
  [3, drainSpool],
  [2, async () => say("backup", await backUp(store, now(), 3))],
  [2, () => store.checkpointWal()],
  [3, writeSettings],
  [1, repair],
  [1, reopen],
  [1, forgetSession],
  [task.project === null ? 0 : 8, snapshot],
  [task.project === null ? 0 : 3, dropSnapshot],
];

async function snapshot(): Promise<void> {
  if (task.project === null) return;
  const id = `cp_${rows}_${snapshots.length}`;
  writeFileSync(join(task.project, "work.txt"), `${id} ${randomBytes(600).toString("hex")}`);
  const limits = { maxFileBytes: 1_000_000, maxTotalBytes: 10_000_000, timeoutMs: 60_000 };
  const where = { project: task.project, snapshots: paths.snapshots };
  const taken = await takeSnapshot({ ...machine, ...where, checkpointId: id, now: now(), limits });
  if (taken.state !== "done") throw new Error(JSON.stringify(taken));
  const { commit, repository } = taken;
  snapshots.push({ id, commit, repository });
  say("snapshot", id, commit, repository);
}

async function dropSnapshot(): Promise<void> {
  const oldest = snapshots.shift();
  if (!oldest) return;
  const { id, commit, repository } = oldest;
  say("unsaved", id);
  const dropped = await dropSnapshots({ ...machine, repository, checkpointIds: [id], timeoutMs: 60_000 });
  if (!dropped.ok) throw new Error(dropped.error.message);
  say("dropped", commit, repository);
}

const weights = steps.map(([weight]) => weight);
for (let n = 0; n < task.steps; n++) {
  // Then comes the upgrade.
  if (n === Math.floor(task.steps / 8)) reopen();
  await steps[rng.draw(weights)]?.[1]();
}
store.close();
say("end");

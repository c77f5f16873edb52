import { join } from "node:path";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { restoreReceived } from "#src/snapshots/restore-files.ts";
import { fetchFiles, type RemoteFiles } from "#src/machine/sharing/sealed-records.ts";
import { readKeys } from "#src/machine/sharing/key-ring.ts";
import type { PullDeps } from "#src/machine/sharing/pull.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "#src/machine/sharing/sessions-elsewhere.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { contents, git, HOST, LIMITS, makeProject, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { aKey, SyncMachine, SyncWorld, type SyncMachineOptions } from "./sync-machine.ts";

/** Two machines of one workspace, one of which sends its uncommitted files. */

const on = { sync: { files: true } };

export type Two = ReturnType<typeof twoMachines>;

/** Two machines of one workspace: `one` with the project, `two` with a clone of it. */
export function twoMachines(options: SyncMachineOptions = {}) {
  const world = new SyncWorld();
  const key = aKey();
  const one = new SyncMachine(world, { key, config: on, ...options });
  const two = new SyncMachine(world, { name: "m2", key });
  const { root, project } = makeProject({ "a.txt": "a\n" });
  const origin = join(root, "origin.git");
  git(root, "clone", "-q", "--bare", project, origin);
  git(project, "remote", "add", "origin", origin);
  git(project, "fetch", "-q");
  const clone = join(temporaryFolder(), "clone");
  git(root, "clone", "-q", origin, clone);
  return { world, one, two, project, clone };
}

/** A checkpoint of a session, with its files. */
export async function save({ one, project }: Two, text: string, session = "s1"): Promise<string> {
  write(project, { "a.txt": `${text}\n`, "new.txt": `${text}\n` });
  const checkpoint = one.work(session, text, project);
  await takePending(one.runtime, [session], new AbortController().signal);
  return checkpoint;
}

function aroundOf(machine: SyncMachine): PullDeps {
  const ring = readKeys(machine.runtime.paths.home, machine.edge, {});
  if (!ring.ok || !ring.value) throw new Error("no key");
  const { runtime, world, name } = machine;
  return { runtime, call: world.call(name), workspace: "team", keys: ring.value, device: null };
}

export function rowIn(machine: SyncMachine, session = "s1"): SessionElsewhere {
  const [row] = machine.runtime.store.read((sql) => elsewhere.list(sql, "team", { session }), []);
  if (!row) throw new Error(`nothing is known of ${session}`);
  return row;
}

export async function heard(machine: SyncMachine): Promise<SessionElsewhere> {
  await machine.sync.syncNow();
  return rowIn(machine);
}

export async function received(machine: SyncMachine): Promise<RemoteFiles> {
  return given(await fetchFiles(aroundOf(machine), await heard(machine)));
}

/** The code why there are none. */
export async function notReceived(machine: SyncMachine, row = rowIn(machine)): Promise<string> {
  const files = await fetchFiles(aroundOf(machine), row);
  if (files.ok) throw new Error(`files of ${files.value.header.checkpoint}`);
  return files.error.code;
}

/** What is in them, restored on the other machine. */
export async function restored({ two, clone }: Two, { header, bundle }: RemoteFiles): Promise<Record<string, string>> {
  const into = join(temporaryFolder(), "restored");
  const { commit, needs } = header;
  const what = { project: clone, snapshots: two.runtime.paths.snapshots, commit, needs, bundle, into };
  const done = await restoreReceived({ ...HOST, ...LIMITS, ...what });
  if (!done.ok) throw new Error(done.error.message);
  return contents(into);
}

/** Requests that carried files. */
export function puts({ filePuts }: SyncWorld): number {
  return filePuts;
}

export async function stored(world: SyncWorld, input: InputOf<"sync.read">): Promise<OutputOf<"sync.read">> {
  return given(await world.host.call("sync.read", input));
}

export function deviceOf(machine: SyncMachine): string {
  return machine.device;
}

/** What a further object takes in memory, with its statements compiled and its page cache in use. */
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { range, type Row } from "../figures.ts";
import { folderOnDisk } from "../own-processes.ts";
import { scaled } from "../size.ts";
import { oneLease, oneTask } from "./fill.ts";
import { Workspace } from "./workspace.ts";

const objects = scaled(30, 3);
const rounds = scaled(1_000, 20);

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Before all else of a process: what has been freed is used again, and shows as no growth. */
export function memoryRow(): Row {
  const folder = join(folderOnDisk("memory"), "objects");
  mkdirSync(folder);
  // The first one brings what all share.
  const first = worked(folder, "first");
  const before = residentBytes();
  const more = range(objects, (n) => worked(folder, `object-${n}`));
  const each = (residentBytes() - before) / objects;
  for (const workspace of [first, ...more]) workspace.close();
  return {
    group: "memory",
    n: objects,
    name: "a further object in one process",
    figure: `${(each / 1e6).toFixed(1)} MB`,
    against: `after ${rounds.toLocaleString("en")} tasks and leases; SQLite's page cache takes at most 2 MB of it`,
  };
}

function worked(folder: string, name: string): Workspace {
  const workspace = new Workspace(folder, name);
  const self = workspace.register("own");
  for (let n = 0; n < rounds; n++) {
    oneTask(workspace, self, { type: "type", tags: ["project"] }, n);
    oneLease(workspace, self, "own", n);
  }
  return workspace;
}

function residentBytes(): number {
  collect();
  return process.memoryUsage.rss();
}

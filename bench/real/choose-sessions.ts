import { closeSync, globSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../random.ts";
import { shuffled } from "./cuts.ts";
import { clientOf } from "./read-session.ts";
import type { SessionClient } from "./session-events.ts";

const headBytes = 20_000;

/** Paths of transcripts below `folder`, in a drawn order in which each folder and client has its turn. */
export function sessionPaths(folder: string, random: Random, only: SessionClient | null): string[] {
  const groups = new Map<string, string[]>();
  for (const path of globSync("**/*.{jsonl,json}", { cwd: folder }).toSorted()) {
    const client = clientOf(headOf(join(folder, path)));
    if (client === null || (only !== null && client !== only)) continue;
    const key = `${path.split("/").slice(0, -1).join("/")} ${client}`;
    groups.set(key, [...(groups.get(key) ?? []), path]);
  }
  const queues = [...groups.values()].map((paths) => shuffled(paths, random));
  const longest = Math.max(0, ...queues.map(({ length }) => length));
  return Array.from({ length: longest }, (_, turn) => queues.flatMap((queue) => queue[turn] ?? [])).flat();
}

export function textAtPath(folder: string, path: string): string {
  return readFileSync(join(folder, path), "utf8");
}

function headOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(headBytes);
    return buffer.toString("utf8", 0, readSync(file, buffer, 0, headBytes, 0));
  } finally {
    closeSync(file);
  }
}

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { LocalEdge } from "../../../scripts/local-edge.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { Store } from "#src/store/store.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import type { SyncReport } from "#src/local-mcp/sync/sync-round.ts";
import * as remote from "#src/local-mcp/sync/remote-sessions.ts";
import { createKey } from "#src/local-mcp/sync/workspace-key.ts";

/** What stood where in the end. */
export interface SyncCrash {
  readonly rounds: number;
  readonly kills: number;
  readonly stored: number;
  /** Sessions and checkpoints that the coordinator lacks, and those that it has and the machine does not. */
  readonly lost: readonly string[];
  readonly extra: readonly string[];
  /** Sessions whose checkpoints do not stand in their order. */
  readonly disordered: readonly string[];
  /** What a second machine could open of it, and what not. */
  readonly opened: number;
  readonly refused: number;
}

const script = join(import.meta.dirname, "sync-child.ts");
const key = createKey((bytes) => Uint8Array.from({ length: bytes }, (_, at) => (at * 41 + 7) % 256));

/** kill -9 of the process that syncs, of the coordinator's runtime, or of both, at moments that differ from round to round. */
export async function syncCrash(edge: LocalEdge, folder: string, rounds: number): Promise<SyncCrash> {
  await edge.call("settings.set", { settings: { maxSyncCheckpoints: 1_000 } });
  const [one, two] = [await aHome(edge, join(folder, "one"), "m1"), await aHome(edge, join(folder, "two"), "m2")];
  let [kills, stored] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const child = start(one, "work", `r${round % 5}`);
    child.stdout?.on("data", (chunk: Buffer) => (stored += chunk.toString().split("+").length - 1));
    await once(child.stdout ?? child, "data");
    await pause(60 + ((round * 137) % 700));
    const isEdge = round % 3 !== 0;
    if (isEdge) kills += edge.kill();
    if (round % 3 === 1) await pause(round % 50);
    const ended = once(child, "close");
    child.kill("SIGKILL");
    kills += 1;
    await ended;
    if (isEdge) await edge.isBack();
  }
  const report = await drain(one);
  if (report.trouble || report.left > 0) throw new Error(`not drained: ${JSON.stringify(report)}`);
  const pulled = await drain(two);
  return { rounds, kills, stored, ...(await compare(edge, one)), opened: openedIn(two), refused: pulled.refused };
}

async function aHome(edge: LocalEdge, home: string, machine: string): Promise<string> {
  const { token } = await edge.call("tokens.create", { machine, scope: "work" });
  const place = { url: edge.url, workspace: edge.workspace };
  writeEdgeConfig(home, { ...place, machine, token });
  addKey(home, place, key);
  return home;
}

function start(home: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, SHIM_HOME: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return child;
}

async function drain(home: string): Promise<SyncReport> {
  const child = start(home, "drain");
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(child, "close");
  return JSON.parse(text) as SyncReport;
}

function openStore(home: string): Store {
  return new Store({ path: pathsIn(home).database, driver: openBetterSqlite3, now: Date.now });
}

function openedIn(home: string): number {
  const store = openStore(home);
  const rows = store.read((sql) => remote.list(sql, "team").length, 0);
  store.close();
  return rows;
}

async function compare(edge: LocalEdge, home: string): Promise<Pick<SyncCrash, "lost" | "extra" | "disordered">> {
  const store = openStore(home);
  const local = store.read((sql) => {
    const all = sql.all<{ id: string }>("SELECT id FROM sessions").map(({ id }) => [id, checkpointsOf(id)] as const);
    function checkpointsOf(session: string): string[] {
      return sql
        .all<{ id: string }>("SELECT id FROM checkpoints WHERE session_id = ? ORDER BY seq", session)
        .map(({ id }) => id);
    }
    return new Map(all);
  }, new Map<string, string[]>());
  store.close();
  const there = await mirrored(edge);
  const [here, known] = [namesIn(local), namesIn(there)];
  return {
    lost: [...here].filter((name) => !known.has(name)),
    extra: [...known].filter((name) => !here.has(name)),
    disordered: [...there].filter(([id, order]) => order.join() !== local.get(id)?.join()).map(([id]) => id),
  };
}

function namesIn(from: ReadonlyMap<string, readonly string[]>): Set<string> {
  return new Set([...from.keys(), ...[...from.values()].flat()]);
}

/** Checkpoints of each session, in the order of their numbers. */
async function mirrored(edge: LocalEdge): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const { sessions } = await edge.call("sync.list", { limit: 100 });
  for (const { session, device } of sessions) {
    const all: { checkpoint: string; epoch: number; seq: number }[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page: { checkpoints: typeof all; cursor: string | null } = await edge.call("sync.checkpoints", {
        session,
        device,
        limit: 100,
        ...(cursor === "" ? {} : { cursor }),
      });
      all.push(...page.checkpoints);
      cursor = page.cursor;
    }
    found.set(
      session,
      all.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq).map(({ checkpoint }) => checkpoint),
    );
  }
  return found;
}

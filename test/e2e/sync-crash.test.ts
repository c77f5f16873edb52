import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import type { SyncReport } from "#src/machine/sharing/sync-round.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import { createKey } from "#src/machine/sharing/key-ring.ts";
import { pathsIn } from "#src/platform/paths.ts";
import type { Sql } from "#src/shared/sql.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { setting, storeOf } from "#harness/machine/mcp-process.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { column } from "#harness/store/store-test.ts";

const rounds = setting("SHIM_SYNC_CRASH_ROUNDS", 30);

const script = join(import.meta.dirname, "sync-child.ts");
const key = createKey((bytes) => Uint8Array.from({ length: bytes }, (_, at) => (at * 41 + 7) % 256));

/** kill -9 of the process that syncs, of the coordinator's runtime, or of both, at moments that differ from round to round. */
async function syncCrash(edge: EdgeRuntime, folder: string) {
  const [one, two] = [join(folder, "one"), join(folder, "two")];
  await edge.join(one, "m1", key);
  await edge.join(two, "m2", key);
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
  const opened = read(two, (sql) => elsewhere.list(sql, "team").length);
  return { rounds, kills, stored, ...(await compare(edge, one)), opened, refused: pulled.refused };
}

function start(home: string, ...args: string[]): ChildProcess {
  const env = { ...process.env, SHIM_HOME: home };
  return spawn(process.execPath, [script, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
}

async function drain(home: string): Promise<SyncReport> {
  return JSON.parse((await outputOf(start(home, "drain"))).out) as SyncReport;
}

function read<T>(home: string, query: (sql: Sql) => T): T {
  const found = storeOf(pathsIn(home)).read(query, null);
  if (found === null) throw new Error(`there is no store in ${home}`);
  return found;
}

async function compare(edge: EdgeRuntime, home: string) {
  const query = "SELECT session || ' ' || id FROM checkpoints GROUP BY session HAVING seq = max(seq)";
  const here = read(home, (sql) => ({
    sessions: column(sql, "SELECT id FROM sessions").map(String),
    checkpoints: column(sql, query).map(String),
  }));
  const { sessions } = await edge.call("sync.list", { limit: 100 });
  const there = new Set(sessions.flatMap(({ session, checkpoint }) => [session, `${session} ${checkpoint}`]));
  const lost = [...here.sessions, ...here.checkpoints].filter((name) => !there.has(name));
  const stored = await edge.call("sync.status", {});
  const extra = [stored.sessions - here.sessions.length, stored.checkpoints - here.checkpoints.length];
  return { lost, extra };
}

it(
  `kill -9 of the machine's process and of the runtime, ${rounds} times: nothing lost, nothing twice @night`,
  { timeout: 240_000 + rounds * 8_000 },
  async () => {
    const crash = await syncCrash(await EdgeRuntime.open(), temporaryFolder());
    console.log(`sync crash: ${JSON.stringify({ ...crash, lost: crash.lost.length })}`);
    expect(crash).toMatchObject({ lost: [], extra: [0, 0], refused: 0 });
    expect(crash.kills).toBeGreaterThan(rounds);
    expect(crash.stored).toBeGreaterThanOrEqual(rounds);
    expect(crash.opened).toBeGreaterThan(5);
  },
);

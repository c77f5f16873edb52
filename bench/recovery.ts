import { join } from "node:path";
import { emptyState } from "../src/machine/sessions/work-state.ts";
import * as checkpoints from "../src/machine/checkpoints/checkpoints.ts";
import * as sessions from "../src/machine/sessions/sessions.ts";
import { encode } from "../src/store/checkpoint-body.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { Store } from "../src/store/store.ts";
import { ms, ratio, sample, timed, type Row, type Sample } from "./figures.ts";
import { scaled } from "./size.ts";
import { connect } from "./stdio-client.ts";

/** More than for a save: these calls are short, and a percentile of few says little. */
const rounds = scaled(1_000);
const warmUp = scaled(20);
const sessionsOf = { small: scaled(100, 3), large: scaled(10_000, 30) };
const checkpointsOfSession = 10;

/** shim_check_recovery over stdio with a small and a large history, in turn. */
export async function benchRecovery(folder: string): Promise<Row[]> {
  const small = await history(join(folder, "small"), sessionsOf.small);
  const large = await history(join(folder, "large"), sessionsOf.large);
  const times: { small: number[]; large: number[] } = { small: [], large: [] };
  for (let round = -warmUp; round < rounds; round++) {
    const a = await timed(() => small.call("shim_check_recovery", { project: "/bench" }));
    const b = await timed(() => large.call("shim_check_recovery", { project: "/bench" }));
    if (round < 0) continue;
    times.small.push(a);
    times.large.push(b);
  }
  await Promise.all([small.close(), large.close()]);
  return rowsOf(sample(times.small), sample(times.large));
}

function count(ofSessions: number): string {
  return (ofSessions * checkpointsOfSession).toLocaleString("en");
}

function rowsOf(small: Sample, large: Sample): Row[] {
  const group = "recovery check";
  const growth = large.p50 / small.p50;
  return [
    {
      group,
      n: large.n,
      name: `${sessionsOf.large.toLocaleString("en")} sessions, ${count(sessionsOf.large)} checkpoints: p50 / p99`,
      figure: `${ms(large.p50)} / ${ms(large.p99)}`,
      goal: "p99 under 5 ms",
      isReached: large.p99 < 5,
    },
    {
      group,
      n: large.n,
      name: `${count(sessionsOf.large)} checkpoints against ${count(sessionsOf.small)}, p50`,
      figure: ratio(growth),
      against: ms(small.p50),
      goal: "at most 1.3 x",
      isReached: growth <= 1.3,
    },
  ];
}

/** Finished sessions, and three that died: their owner is no process of this machine. */
async function history(home: string, count: number): ReturnType<typeof connect> {
  const store = new Store({ path: join(home, "shim.db"), driver: openBetterSqlite3, now: Date.now });
  const start = Date.now() - 3_600_000;
  for (let first = 0; first < count; first += 500) {
    store.write((sql) => {
      for (let i = first; i < Math.min(count, first + 500); i++) addSession(sql, i, start + i, i >= count - 3);
    });
  }
  store.close();
  return connect(["dist/mcp.cjs"], { SHIM_HOME: home });
}

function addSession(sql: Parameters<typeof sessions.recordSighting>[0], i: number, at: number, isDead: boolean): void {
  const id = `ses_${String(i).padStart(8, "0")}`;
  const owner = { boot: "an earlier boot", pid: 1, start: "1" };
  sessions.recordSighting(sql, at, { id, client: "bench", origin: "handle", project: "/bench", owner, isAlive: true });
  for (let n = 0; n < checkpointsOfSession; n++) {
    const text = `step ${n} of session ${i}`;
    const packed = encode({ ...emptyState, goal: text, nextStep: `${text}, then the next one` });
    checkpoints.insert(sql, {
      id: `cp_${String(i).padStart(8, "0")}_${n}`,
      session: id,
      at: at + n,
      trigger: "on_demand",
      journalSeq: 0,
      redactions: 0,
      summary: text,
      ...packed,
    });
  }
  if (!isDead) sessions.end(sql, at + checkpointsOfSession, id, "finished");
}

import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import * as checkpoints from "../../src/machine/checkpoints/checkpoints.ts";
import * as sessions from "../../src/machine/sessions/sessions.ts";
import { emptyState } from "../../src/machine/sessions/work-state.ts";
import { encode } from "../../src/store/checkpoint-body.ts";
import { range, sample, scaled, timed } from "../measure.ts";
import { generator, lines } from "../random.ts";
import { connect } from "../stdio-client.ts";
import { savedBy, storeOf, SyncRig, type Machine } from "./sync-rig.ts";

const rounds = scaled(100);
/** How often a synchronizer looks, in ms: saves must not keep step with it. */
const lookEveryMs = 250;
const waitingSessions = scaled(500, 10);
/** Of a session: its beginning, and a checkpoint. */
const changesOfSession = 2;

/** What a machine saves is read on another one, in ms; and how many waiting changes a command sends in a second. */
export async function sync() {
  const rig = await SyncRig.open(join(tmpdir(), "sync"));
  try {
    const origin = rig.origin("project");
    const reached = await reach(rig, await rig.machine("reader", origin), await rig.machine("writer", origin));
    return { ...reached, changesPerSecond: await throughput(rig, origin) };
  } finally {
    await rig.close();
  }
}

/** From the answer to a save until the other machine has it, asking without a pause. */
async function reach(rig: SyncRig, reader: Machine, { env, project }: Machine) {
  const server = await connect(["dist/mcp.cjs"], env);
  const random = generator(1);
  const times: { read: number[]; bare: number[] } = { read: [], bare: [] };
  try {
    for (let round = -scaled(3); round < rounds; round++) {
      const bare = await rig.roundTrip(reader);
      await pause(random() * lookEveryMs);
      const done = lines(2_000, random);
      const saved = savedBy(await server.call("shim_force_checkpoint", { project, done }));
      const read = await timed(() => rig.untilReadable(reader, saved));
      if (round < 0) continue;
      times.read.push(read);
      times.bare.push(bare);
    }
  } finally {
    await server.close();
  }
  const read = sample(times.read);
  return { p50: read.p50, p99: read.p99, bare: sample(times.bare).p50 };
}

/** `shim workspace sync` beyond the time of the command with nothing to send. */
async function throughput(rig: SyncRig, origin: string): Promise<number> {
  const times: { sent: number[]; idle: number[] } = { sent: [], idle: [] };
  for (const round of range(scaled(3), (n) => n)) {
    const machine = await rig.machine(`full-${round}`, origin);
    fill(machine, generator(round));
    times.sent.push(await timed(() => sent(machine, waitingSessions)));
    times.idle.push(await timed(() => sent(machine, 0)));
  }
  return (waitingSessions * changesOfSession * 1_000) / (sample(times.sent).p50 - sample(times.idle).p50);
}

/** As chats leave it that are over, while the coordinator cannot be reached. */
function fill({ paths, project }: Machine, random: () => number): void {
  const store = storeOf(paths);
  store.write((sql) => {
    for (const id of range(waitingSessions, (n) => `ses_${n}_${Math.floor(random() * 1e9).toString(36)}`)) {
      const owner = { boot: "an earlier boot", pid: 1, start: "1" };
      const at = Date.now();
      sessions.recordSighting(sql, at, { id, client: "bench", origin: "handle", project, owner, isAlive: true });
      const packed = encode({ ...emptyState, done: lines(2_000, random) });
      const about = { trigger: "on_demand", journalSeq: 0, redactions: 0, summary: "a step" } as const;
      checkpoints.insert(sql, { id: `cp_${id}`, session: id, at, ...about, ...packed });
    }
  });
  store.close();
}

const run = promisify(execFile);

/** @throws when it has not sent as many */
async function sent({ env }: Machine, count: number): Promise<void> {
  const given = { PATH: process.env["PATH"], ...env };
  const { stdout } = await run(process.execPath, ["bin/shim.mjs", "workspace", "sync", "--json"], { env: given });
  const report = JSON.parse(stdout) as { readonly sessions: number };
  if (report.sessions !== count) throw new Error(`not ${count}: ${stdout}`);
}

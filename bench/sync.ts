import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { maxPutRecords, type SyncRecord } from "../src/contract/sync.ts";
import * as checkpoints from "../src/machine/checkpoints/checkpoints.ts";
import * as sessions from "../src/machine/sessions/sessions.ts";
import { emptyState } from "../src/machine/sessions/work-state.ts";
import { encode } from "../src/store/checkpoint-body.ts";
import { mean, ms, perSecond, range, ratio, sample, timed, type Row } from "./figures.ts";
import { scaled } from "./size.ts";
import { connect } from "./stdio-client.ts";
import { generator, lines } from "./texts.ts";
import { savedBy, storeOf, taken, SyncRig, type Machine } from "./sync-rig.ts";

const rounds = scaled(100);
const group = "sync";

/** What a machine saves is read on another one; and what that costs the chat that saves. */
export async function benchSync(folder: string): Promise<Row[]> {
  const rig = await SyncRig.open(join(folder, "sync"));
  try {
    const origin = rig.origin("project");
    const reader = await rig.machine("reader", origin);
    return [
      ...(await reach(rig, reader, await rig.machine("writer", origin))),
      ...(await throughput(rig, origin, afterADay)),
      ...(await throughput(rig, origin, afterAWeek)),
      ...(await foreground(rig, reader, await rig.machine("chat-2", origin), 2_000)),
      ...(await foreground(rig, reader, await rig.machine("chat-20", origin), 20_000)),
    ];
  } finally {
    await rig.close();
  }
}

/** How often a synchronizer looks, in ms: saves must not keep step with it. */
const lookEveryMs = 250;

async function reach(rig: SyncRig, reader: Machine, { env, project }: Machine): Promise<Row[]> {
  const server = await connect(["dist/mcp.cjs"], env);
  const random = generator(1);
  const times: { read: number[]; asked: number[]; bare: number[] } = { read: [], asked: [], bare: [] };
  try {
    for (let round = -scaled(3); round < rounds; round++) {
      const bare = [await rig.roundTrip(reader), await rig.roundTrip(reader), await rig.roundTrip(reader)];
      await pause(random() * lookEveryMs);
      const done = lines(2_000, random);
      const saved = savedBy(await server.call("shim_force_checkpoint", { project, done }));
      let asked: number[] = [];
      const read = await timed(async () => (asked = await rig.untilReadable(reader, saved)));
      if (round < 0) continue;
      times.read.push(read);
      times.asked.push(...asked);
      times.bare.push(...bare);
    }
  } finally {
    await server.close();
  }
  const [read, asked, bare] = [sample(times.read), sample(times.asked), sample(times.bare)];
  return [
    {
      group,
      n: read.n,
      name: "from the answer to a save to readable on the other machine, p50 / p99",
      figure: `${ms(read.p50)} / ${ms(read.p99)}`,
      against: `bare HTTP round trip ${ms(bare.p50)} / ${ms(bare.p99)}: ${ratio(read.p50 / bare.p50)} / ${ratio(read.p99 / bare.p99)}; a question of the reader ${ms(asked.p50)} / ${ms(asked.p99)}`,
      goal: "p99 under 2 s",
      isReached: read.p99 < 2_000,
    },
  ];
}

interface Backlog {
  readonly name: string;
  readonly sessions: number;
  /** Of a session: one of them is its beginning, the others are checkpoints. */
  readonly changesOfSession: number;
}

/** Of each session one record is sent, with its newest checkpoint. */
const afterADay: Backlog = { name: "after-a-day", sessions: scaled(500, 10), changesOfSession: 2 };
const afterAWeek: Backlog = { name: "after-a-week", sessions: scaled(2_500, 20), changesOfSession: 2 };

async function throughput(rig: SyncRig, origin: string, backlog: Backlog): Promise<Row[]> {
  const waiting = backlog.sessions * backlog.changesOfSession;
  const times: { sent: number[]; idle: number[]; raw: number[] } = { sent: [], idle: [], raw: [] };
  let chars = 0;
  for (const round of range(scaled(3), (n) => n)) {
    const before = await storedChars(rig);
    const machine = await rig.machine(`${backlog.name}-${round}`, origin);
    fill(machine, generator(round), backlog);
    times.sent.push(await timed(() => sent(machine, backlog.sessions)));
    times.idle.push(await timed(() => sent(machine, 0)));
    chars = (await storedChars(rig)) - before;
    const size = Math.round(chars / waiting);
    times.raw.push(await pushedRaw(rig, await rig.machine(`raw-${backlog.name}-${round}`, origin), size, backlog));
  }
  const [whole, idle, raw] = [sample(times.sent).p50, sample(times.idle).p50, sample(times.raw).p50];
  const rate = (time: number): number => (waiting * 1_000) / time;
  const speed = (time: number): string => `${perSecond(rate(time))}, ${(chars / time / 1_000).toFixed(2)} MB per s`;
  return [
    {
      group,
      n: times.sent.length,
      name: `\`shim workspace sync\` with ${waiting.toLocaleString("en")} changes of ${backlog.sessions.toLocaleString("en")} sessions waiting`,
      figure: `${speed(whole - idle)} beyond the ${ms(idle)} of the command with nothing to send`,
      against: `the whole command ${speed(whole)} (${ms(whole)}); bare pushes of as much ${speed(raw)} (${ms(raw)})`,
      goal: "at least 4,000 per s",
      isReached: rate(whole - idle) >= 4_000,
    },
  ];
}

async function storedChars({ edge }: SyncRig): Promise<number> {
  return (await edge.call("sync.status", {})).chars;
}

/** As chats leave it that are over, while the coordinator cannot be reached. */
function fill({ paths, project }: Machine, random: () => number, backlog: Backlog): void {
  const store = storeOf(paths);
  store.write((sql) => {
    for (const id of range(backlog.sessions, (n) => `ses_${n}_${Math.floor(random() * 1e9).toString(36)}`)) {
      const owner = { boot: "an earlier boot", pid: 1, start: "1" };
      const at = Date.now();
      sessions.recordSighting(sql, at, { id, client: "bench", origin: "handle", project, owner, isAlive: true });
      for (let n = 1; n < backlog.changesOfSession; n++) {
        const packed = encode({ ...emptyState, done: lines(2_000, random) });
        const about = { trigger: "on_demand", journalSeq: 0, redactions: 0, summary: `step ${n}` } as const;
        checkpoints.insert(sql, { id: `cp_${id}_${n}`, session: id, at, ...about, ...packed });
      }
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

/** Envelopes of this size in as many frames, sealed before the time begins. @returns ms */
async function pushedRaw({ key }: SyncRig, { call }: Machine, size: number, backlog: Backlog): Promise<number> {
  const device = `dev_${randomBytes(8).toString("hex")}`;
  const records = range(backlog.sessions, (n) => rawRecord(device, n, size));
  return timed(async () => {
    for (let first = 0; first < records.length; first += maxPutRecords) {
      const part = records.slice(first, first + maxPutRecords);
      taken(await call("sync.put", { device, keyId: key.id, records: part }));
    }
  });
}

function rawRecord(device: string, n: number, size: number): SyncRecord {
  const envelope = randomBytes(size).toString("base64url").slice(0, size);
  const about = { checkpoint: `cp_${device}_${n}`, project: null, isEnded: false, replaces: 0 };
  return { kind: "session", session: `ses_${device}_${n}`, ageMs: 0, envelope, ...about };
}

/** The same saves in a home that has joined and one that has not, by turns first. */
async function foreground(rig: SyncRig, reader: Machine, { env }: Machine, size: number): Promise<Row[]> {
  const joined = await connect(["dist/mcp.cjs"], env);
  const plain = await connect(["dist/mcp.cjs"], { ...env, SHIM_HOME: `${env["SHIM_HOME"]}-alone` });
  const random = generator(size);
  const times: { joined: number[]; plain: number[] } = { joined: [], plain: [] };
  try {
    const first = await joined.call("shim_force_checkpoint", { done: lines(size, random) });
    await rig.untilReadable(reader, savedBy(first));
    let last = savedBy(first);
    for (let round = -scaled(20); round < rounds * 3; round++) {
      const done = lines(size, random);
      const keep = (name: "joined" | "plain", time: number): unknown => round >= 0 && times[name].push(time);
      const ways = {
        joined: async () => void (last = savedBy(await joined.call("shim_force_checkpoint", { done }))),
        plain: () => plain.call("shim_force_checkpoint", { done }),
      };
      const order = round % 2 === 0 ? (["joined", "plain"] as const) : (["plain", "joined"] as const);
      for (const name of order) keep(name, await timed(ways[name]));
    }
    // It was connected all the while.
    await rig.untilReadable(reader, last);
  } finally {
    await Promise.all([joined.close(), plain.close()]);
  }
  const [with_, without] = [sample(times.joined), sample(times.plain)];
  const growth = with_.p50 / without.p50;
  const name = `save of ${size / 1_000} KB in a joined home against one that is not`;
  return [
    {
      group,
      n: with_.n,
      name: `${name}, p50`,
      figure: ratio(growth),
      against: `${ms(with_.p50)} / p99 ${ms(with_.p99)} against ${ms(without.p50)} / p99 ${ms(without.p99)}`,
      goal: "at most 1.1 x",
      isReached: growth <= 1.1,
    },
    // Of saves without a pause few meet a push, which a median does not see.
    {
      group,
      n: with_.n,
      name: `${name}, mean`,
      figure: ratio(mean(times.joined) / mean(times.plain)),
      against: `${ms(mean(times.joined))} against ${ms(mean(times.plain))}`,
    },
  ];
}

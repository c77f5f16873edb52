import { execFileSync, execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import { WorkspaceClient } from "../../src/coordinator-client/client.ts";
import type { Call } from "../../src/coordinator-client/edge/calls.ts";
import { writeEdgeConfig } from "../../src/coordinator-client/edge-config.ts";
import { nodePlatform } from "../../src/coordinator-client/edge/platform.ts";
import * as checkpoints from "../../src/machine/sessions/checkpoints/checkpoints.ts";
import * as sessions from "../../src/machine/sessions/sessions.ts";
import { emptyState } from "../../src/machine/sessions/work-state.ts";
import * as devices from "../../src/machine/sharing/device.ts";
import { open } from "../../src/machine/sharing/envelope.ts";
import { addKey, createKey } from "../../src/machine/sharing/key-ring.ts";
import { decodeContent, SessionContent } from "../../src/machine/sharing/record-contents.ts";
import { pathsIn, type Paths } from "../../src/platform/paths.ts";
import { encode } from "../../src/store/checkpoint-body.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { Store } from "../../src/store/store.ts";
import { timed, range, sample, scaled, generator, lines } from "../measure.ts";
import { connect } from "../mcp-server.ts";

export interface Machine {
  readonly paths: Paths;
  /** For its programs. */
  readonly env: Record<string, string>;
  /** Its clone. */
  readonly project: string;
  readonly token: string;
  /** Over HTTP, as its synchronizer asks. */
  readonly call: Call;
}

export interface Saved {
  readonly session: string;
  readonly checkpoint: string;
}

/** @param answer of a tool that saves */
function savedBy(answer: Readonly<Record<string, unknown>>): Saved {
  return { session: String(answer["session"]), checkpoint: String(answer["checkpoint"]) };
}

/** How long anything is waited for, in ms. */
const mostMs = 60_000;

/** A coordinator under workerd, with its state on the disk, and machines of one workspace that hold its key. */
export class SyncRig {
  readonly edge: LocalEdge;
  readonly key = createKey(randomBytes);
  readonly #folder: string;
  readonly #ended = new AbortController();

  private constructor(edge: LocalEdge, folder: string) {
    this.edge = edge;
    this.#folder = folder;
  }

  /** @param folder is made, and holds everything */
  static async open(folder: string): Promise<SyncRig> {
    mkdirSync(folder);
    const entry = "src/worker/worker-entry.ts";
    return new SyncRig(new LocalEdge(await startEdge({ entry, folder, log: console.error })), folder);
  }

  /** @returns a repository to clone, of a project of its own */
  origin(name: string): string {
    const origin = join(this.#folder, name);
    mkdirSync(origin);
    git(origin, "init", "-q", "-b", "main");
    writeFileSync(join(origin, "one.ts"), `export const name = "${name}";\n`);
    git(origin, "add", ".");
    git(origin, "-c", "user.name=Bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "start");
    return origin;
  }

  /** As `shim workspace join` leaves a machine that has cloned the project. */
  async machine(name: string, origin: string): Promise<Machine> {
    const { url, workspace } = this.edge;
    const home = join(this.#folder, name);
    const paths = pathsIn(join(home, "shim"));
    mkdirSync(home);
    git(this.#folder, "clone", "-q", origin, join(home, "project"));
    const { token } = await this.edge.call("tokens.create", { machine: name, scope: "work" });
    writeEdgeConfig(paths.home, { url, workspace, machine: name, token });
    taken(addKey(paths.home, { url, workspace }, this.key));
    const store = storeOf(paths);
    store.write((sql) => devices.join(sql, { url, workspace, token }, devices.newId(Date.now(), randomBytes), 0, 0));
    store.close();
    const options = { edge: this.edge.url, workspace, token, connectsFor: "chat", signal: this.#ended.signal } as const;
    const { call } = taken(WorkspaceClient.open(options, nodePlatform()));
    return {
      paths,
      env: { HOME: home, SHIM_HOME: paths.home, TMPDIR: tmpdir() },
      project: join(home, "project"),
      token,
      call,
    };
  }

  /** Asks the coordinator as this machine does, without a pause, and opens what it answers. */
  async untilReadable(on: Machine, saved: Saved): Promise<void> {
    const begin = performance.now();
    while (!(await this.#isReadable(on, saved)))
      if (performance.now() - begin > mostMs) throw new Error(`${saved.checkpoint} is not there within ${mostMs} ms`);
  }

  async #isReadable({ call }: Machine, { session, checkpoint }: Saved): Promise<boolean> {
    const [row] = taken(await call("sync.list", { session })).sessions;
    if (row?.checkpoint !== checkpoint) return false;
    const { device, envelope } = row;
    const about = { workspace: this.edge.workspace, kind: "session", device, session, item: "" } as const;
    const content = decodeContent(SessionContent, taken(open(new Map([[this.key.id, this.key]]), about, envelope)));
    if (content?.checkpoint?.id !== checkpoint) throw new Error(`${checkpoint} does not say what was saved`);
    return true;
  }

  /** The least that a question to this coordinator takes, in ms. */
  roundTrip({ token }: Machine): Promise<number> {
    return timed(() => this.edge.call("health", {}, token));
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.edge.close();
  }
}

function storeOf({ database }: Paths): Store {
  return new Store({ path: database, driver: openBetterSqlite3, now: Date.now });
}

/** @throws what is wrong, where there is no value */
function taken<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** With none of the developer's settings. */
function git(folder: string, ...args: string[]): void {
  const env = { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  execFileSync("git", ["-C", folder, ...args], { env, stdio: ["ignore", "ignore", "inherit"] });
}

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
    return { ...reached, changesPerSecond: await throughput() };
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

/** `shim workspace sync` beyond the time of the command with nothing to send; nothing is received. */
async function throughput(): Promise<number> {
  const times: { sent: number[]; idle: number[] } = { sent: [], idle: [] };
  for (const round of range(scaled(3), (n) => n)) {
    const rig = await SyncRig.open(join(tmpdir(), `sync-${round}`));
    const machine = await rig.machine("full", rig.origin("project"));
    fill(machine, generator(round));
    times.sent.push(await timed(() => sent(machine, waitingSessions)));
    times.idle.push(await timed(() => sent(machine, 0)));
    await rig.close();
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

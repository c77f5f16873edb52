import { cpSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Call } from "#src/coordinator-client/edge/calls.ts";
import { writeEdgeConfig, type EdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import * as devices from "#src/machine/sharing/device.ts";
import { recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import { addKey, createKey, readKeys, type WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import { StateSynchronizer } from "#src/machine/sharing/synchronizer.ts";
import { err, ok } from "#src/shared/result.ts";
import { FakeTime, seededRandom } from "#harness/clock/fake-time.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { given } from "#harness/coordinator/peers.ts";
import { column } from "#harness/store/store-test.ts";
import {
  contents,
  git,
  GIT_ENV,
  HOST,
  LIMITS,
  makeProject,
  temporaryFolder,
  write,
} from "#harness/machine/git-project.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import { saveName } from "#src/machine/sharing/find-project.ts";
import { fetchFiles, type RemoteFiles } from "#src/machine/sharing/sealed-records.ts";
import { type PullDeps, pull } from "#src/machine/sharing/pull.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import * as news from "#src/machine/sessions/news.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { Reach } from "#src/machine/recovery/elsewhere/candidates.ts";
import { createTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { buildSessionContent, encodeContent, type SessionContent } from "#src/machine/sharing/record-contents.ts";
import { seal } from "#src/machine/sharing/envelope.ts";
import type { Team } from "#src/machine/team/team.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { Device, session as sessionRecord } from "./sealed-content.ts";
import type { ServerResponse } from "node:http";
import { isEngineOperation } from "#src/coordination/engine.ts";
import { health, readRequest, servedAs, type Served } from "#harness/edge/fake-edge.ts";
import { RealServer, type Seen } from "#harness/edge/real-server.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

export type Weather = "good" | "unreachable" | "lost" | "busy";

let keys = 0;
let machines = 0;

export function aKey(): WorkspaceKey {
  keys += 1;
  return createKey((bytes) => new Uint8Array(bytes).fill(keys));
}

/** A coordinator with the real engine behind a network that the test makes, and one time for all of its machines. */
export class SyncWorld {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly time = new FakeTime();
  readonly asked: string[] = [];
  filePuts = 0;
  /** What the network does to the next request; one that carries files is called `files`. */
  weather: (name: string) => Weather = () => "good";
  requestMs = 0;
  /** Changes what the coordinator answers, as one would that cannot be trusted. */
  twist: (name: string, answer: unknown) => unknown = (_name, answer) => answer;

  constructor() {
    let before = 0;
    this.time.onPassing(async () => {
      this.host.wait(this.time.now - before);
      before = this.time.now;
      await this.host.ring();
    });
  }

  call(machine: string, signal?: AbortSignal): Call {
    return async (name, input) => {
      const { records = [] } = input as { readonly records?: readonly { readonly kind: string }[] };
      const what = records.some(({ kind }) => kind === "part" || kind === "files") ? "files" : name;
      if (what === "files") this.filePuts += 1;
      this.asked.push(`${machine} ${what}`);
      if (this.requestMs > 0)
        await new Promise<void>((resolve) => {
          this.time.setTimer(resolve, this.requestMs);
          signal?.addEventListener("abort", () => resolve());
        });
      const weather = signal?.aborted ? "unreachable" : this.weather(what);
      if (weather === "unreachable") return err({ code: "unreachable", message: "no network" });
      if (weather === "busy") return err({ code: "overloaded", message: "busy", retryAfterMs: 300_000 });
      const answer = await this.host.call(name as "sync.put", input as never, { machine, isAdmin: false });
      if (weather === "lost") return err({ code: "unreachable", message: "no answer" });
      if (!answer.ok) return answer;
      return { ok: true, value: this.twist(name, answer.value) as never };
    };
  }
}

export interface SyncMachineOptions {
  readonly name?: string;
  readonly key?: WorkspaceKey | null;
  /** A copy of this one's home, on another machine where a name is given. */
  readonly copyOf?: SyncMachine;
  readonly config?: Record<string, unknown>;
}

/** A machine that has joined the workspace `team`, and one process of SHIM on it. */
export class SyncMachine {
  readonly world: SyncWorld;
  readonly name: string;
  readonly runtime: TempRuntime;
  readonly folder: string;
  sync: StateSynchronizer;

  constructor(world: SyncWorld, { name = "m1", key = aKey(), copyOf, config = {} }: SyncMachineOptions = {}) {
    this.world = world;
    this.name = name;
    this.folder = temporaryFolder();
    const paths = pathsIn(join(this.folder, "home"));
    if (copyOf) {
      copyOf.runtime.store.close();
      cpSync(copyOf.runtime.paths.home, paths.home, { recursive: true });
    }
    this.runtime = tempRuntime({ paths, now: T0 + world.time.now, env: GIT_ENV, config });
    // Each machine has other random bytes.
    this.runtime.random((machines += 1) * 100);
    world.time.onPassing(() => {
      this.runtime.clock.now = T0 + world.time.now;
      return Promise.resolve();
    });
    if (!copyOf) writeEdgeConfig(this.runtime.paths.home, this.edge);
    if (!copyOf && key) this.take(key);
    this.sync = this.open();
  }

  get edge(): EdgeConfig {
    return { url: "https://shim.example.com", workspace: "team", machine: this.name, token: "shim_a.b" };
  }

  get device(): string {
    return this.runtime.store.read(devices.get, null)?.device ?? "none";
  }

  take(key: WorkspaceKey): void {
    addKey(this.runtime.paths.home, this.edge, key);
  }

  open(): StateSynchronizer {
    const { world, runtime, name } = this;
    const clock = { monotonic: () => world.time.now, wall: runtime.now };
    const platform = { setTimer: world.time.setTimer, random: seededRandom(3), clock };
    const connect = (_edge: EdgeConfig, signal?: AbortSignal): Call => world.call(name, signal);
    const sync = new StateSynchronizer({ runtime, platform, connect, onPulled: recordTakeovers });
    onTestFinished(() => sync.stop());
    return sync;
  }

  restart(): void {
    this.runtime.store.close();
    this.sync = this.open();
  }

  work(session: string, text: string, project: string | null = null): string {
    this.note(session, text, project);
    const captured = capture(this.runtime, { sessionId: session, trigger: "on_demand" });
    if (!captured.ok) throw new Error(captured.error.code);
    return captured.value.checkpoint.id;
  }

  note(session: string, text: string, project: string | null = null): void {
    const now = this.runtime.now();
    this.runtime.store.write((sql) => {
      const sighting = { id: session, client: "claude-code", origin: "startup", project, cwd: project, owner: null };
      sessions.recordSighting(sql, now, { ...sighting, isAlive: true });
      sessions.update(sql, session, { title: text, toolCalls: 1 });
      const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM journal");
      journal.append(sql, session, now, `k${row?.n}`, { kind: "prompt", text });
    });
  }

  end(session: string): void {
    this.runtime.store.write((sql) => reportEnd(sql, this.runtime, session, "exit"));
  }

  /** Ids of all sessions of this home, and of the newest checkpoint of each, oldest first. */
  kept(): { sessions: string[]; checkpoints: string[] } {
    const ids = (query: string): string[] => this.runtime.store.read((sql) => column(sql, query).map(String), []);
    return {
      sessions: ids("SELECT id FROM sessions ORDER BY id"),
      checkpoints: ids("SELECT id FROM checkpoints GROUP BY session HAVING seq = max(seq) ORDER BY seq"),
    };
  }

  /** The same at the coordinator, of this machine's device; what is not kept here comes last. */
  async mirrored(): Promise<{ sessions: string[]; checkpoints: string[] }> {
    const { host } = this.world;
    const { sessions } = given(await host.call("sync.list", { device: this.device, limit: 100 }));
    const stored = sessions.flatMap(({ checkpoint }) => checkpoint ?? []);
    const order = this.kept().checkpoints;
    const checkpoints = [...order.filter((id) => stored.includes(id)), ...stored.filter((id) => !order.includes(id))];
    return { sessions: sessions.map(({ session }) => session).sort(), checkpoints };
  }
}

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

export function rowIn(machine: SyncMachine, session = "s1"): elsewhere.SessionElsewhere {
  const [row] = machine.runtime.store.read((sql) => elsewhere.list(sql, "team", { session }), []);
  if (!row) throw new Error(`nothing is known of ${session}`);
  return row;
}

export async function heard(machine: SyncMachine): Promise<elsewhere.SessionElsewhere> {
  await machine.sync.syncNow();
  return rowIn(machine);
}

export async function received(machine: SyncMachine): Promise<RemoteFiles> {
  return given(await fetchFiles(aroundOf(machine), await heard(machine)));
}

export async function notReceived(machine: SyncMachine, row = rowIn(machine)): Promise<string> {
  const files = await fetchFiles(aroundOf(machine), row);
  if (files.ok) throw new Error(`files of ${files.value.header.checkpoint}`);
  return files.error.code;
}

export async function restored({ two, clone }: Two, { header, bundle }: RemoteFiles): Promise<Record<string, string>> {
  const into = join(temporaryFolder(), "restored");
  const { snapshots } = two.runtime.paths;
  given(await restoreFiles({ ...HOST, ...LIMITS, ...header, project: clone, snapshots, bundle, into }));
  return contents(into);
}

export async function stored(world: SyncWorld, input: InputOf<"sync.read">): Promise<OutputOf<"sync.read">> {
  return given(await world.host.call("sync.read", input));
}

/** An envelope of which one character is another one. */
export function flipped(envelope: string): string {
  return `${envelope.slice(0, 60)}${envelope[60] === "A" ? "B" : "A"}${envelope.slice(61)}`;
}

export const workspace = "team";
export const project = "project-key-1";
export const minute = 60_000;

/** A machine whose chats are in the workspace, and which sends a session when the test says so. */
export class TeamMachine extends SyncMachine {
  readonly sealer: Device;
  readonly #key: WorkspaceKey;

  constructor(world: SyncWorld, name: string, key: WorkspaceKey) {
    super(world, { name, key });
    this.#key = key;
    this.sealer = new Device(world.host, `dev_${name}`, { machine: name, isAdmin: false });
    this.sealer.keyId = key.id;
    const member = { ...this.edge, workspace, token: tokenOf(name) };
    const now = this.runtime.now();
    this.runtime.store.write((sql) => devices.join(sql, member, this.sealer.device, now, 0));
  }

  get #platform() {
    const clock = { monotonic: () => 0, wall: () => 0 };
    return { setTimer: this.world.time.setTimer, random: seededRandom(1), clock };
  }

  get #link(): WorkspaceClient {
    const call = this.world.call(this.name) as never;
    return WorkspaceClient.openLocal({ call, onCommit: () => () => undefined, close: () => undefined }, this.#platform);
  }

  get #pulling() {
    return { ...aroundOf(this), runtime: this.runtime, device: this.sealer.device };
  }

  team(): Team {
    const { runtime, name: machine, edge } = this;
    const deps = { runtime, platform: this.#platform, processOf: ({ id }: { id: string }) => processOf(id) };
    return createTeam(deps, () => ok({ link: this.#link, workspace, machine, edge }));
  }

  /** The session is a chat of the workspace from now on. */
  async register(session: string): Promise<Reach> {
    const { name: machine } = this;
    const link = this.#link;
    given(await link.register({ chat: session, session, process: processOf(session), machine, client: "test" }));
    return { ...this.#pulling, link, chatId: session, machine, here: null };
  }

  async attest(chat: string): Promise<void> {
    const input = { chat, machine: this.name, process: processOf(chat) };
    given(await this.world.host.call("chats.attest-death", input, this.sealer.actor));
  }

  async pull(): Promise<void> {
    const { refused } = given(await pull(this.#pulling, 0));
    if (refused.length > 0) throw new Error(JSON.stringify(refused));
  }

  /** Everything of a session that is stored here goes to the coordinator, or what a test makes of it. */
  async mirror(session: string, change: Partial<SessionContent> = {}): Promise<void> {
    const { sealer, runtime } = this;
    const row = runtime.store.read((sql) => sessions.get(sql, session), null);
    if (!row) throw new Error(`no session ${session}`);
    const content = runtime.store.read((sql) => buildSessionContent(sql, row, runtime.now()), null);
    const about = { workspace, kind: "session", device: sealer.device, session, item: "" } as const;
    const sealed = seal(this.#key, about, encodeContent({ ...content, ...change } as SessionContent), runtime.random);
    if (!sealed.ok) throw new Error(sealed.error.code);
    const ageMs = runtime.now() - row.lastSeenAt;
    await sealer.put(sessionRecord(session, sealed.value, { project, ageMs, isEnded: row.ending?.how === "ended" }));
  }

  chat(session: string): Claude {
    const cwd = aProject();
    this.runtime.store.write((sql) => saveName(sql, workspace, cwd, project, this.runtime.now()));
    return new Claude(this.runtime, { cwd, session });
  }
}

const processOf = (session: string): string => `boot:${session}`;

/** `there` the session `dead` has died, `here` is the chat. */
export type World = Awaited<ReturnType<typeof aWorld>>;

/** A chat on one machine works on a file, its state is mirrored; then it is killed. A chat on another machine has started. */
export async function aWorld({ isDead = true, isKnown = true } = {}) {
  const world = new SyncWorld();
  const key = aKey();
  const there = new TeamMachine(world, "desk", key);
  const here = new TeamMachine(world, "laptop", key);
  const dead = there.chat("aaaa1111-0000-4000-8000-000000000001");
  dead.turn("fix the parser");
  dead.write(join(dead.cwd, "parser.ts"), "export const parser = 1;\n");
  dead.stop("The tokenizer drops the last line.");
  dead.prompt("and the lexer");
  const member = isKnown ? await there.register(dead.session) : null;
  await there.mirror(dead.session);
  if (isDead && isKnown) await there.attest(dead.session);
  dead.kill();
  const chat = here.chat("bbbb2222-0000-4000-8000-000000000002");
  chat.start();
  /** Nothing that is due is done meanwhile. */
  const wait = (ms: number): void => {
    for (const one of [world.host, there.runtime, here.runtime]) one.wait(ms);
  };
  wait(5 * minute);
  if (!isDead) await member?.link.call("chats.heartbeat", {}, 1_000);
  await here.pull();
  const reach = { ...(await here.register(chat.session)), here: { root: chat.cwd, project } };
  return { world, wait, key, there, here, dead, chat, reach };
}

/** A chat on a third machine, which has pulled what the others have sealed. */
export async function aRival({ world, key, chat: { session } }: World) {
  const here = new TeamMachine(world, "tower", key);
  here.runtime.clock.now = world.host.now();
  const chat = here.chat(session.replaceAll("b", "c"));
  chat.start();
  await here.pull();
  return { here, chat, reach: await here.register(chat.session) };
}

export function newsOf({ runtime }: TeamMachine, session: string): news.News[] {
  return runtime.store.read((sql) => news.undelivered(sql, session, 20), []).map((row) => row.news);
}

export function tokenOf(machine: string, scope = "work"): string {
  return `shim_${Buffer.from(JSON.stringify({ m: machine, s: scope })).toString("base64url")}.x`;
}

/** Workspace `team` on the real engine, over HTTP as the worker offers it; each request is of the machine of its token. */
export class SyncServer {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly http: RealServer;
  isDown = false;
  /** Answers instead of the engine, by path. */
  readonly fixed: Record<string, unknown> = { ...notOfTheEngine };
  /** Does what it is asked under this path, and its answer is lost on the way. */
  losesAnswersOf: string | null = null;
  /** Refuses this path. */
  refuses: string | null = null;

  private constructor(http: RealServer) {
    this.http = http;
    http.answer = (request, response) => {
      if (this.isDown) return void response.destroy();
      void this.#respond(request, response);
    };
  }

  static async listen(): Promise<SyncServer> {
    return new SyncServer(await RealServer.listen());
  }

  get url(): string {
    return this.http.url;
  }

  async #respond(request: Seen, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#answer(request);
    if (this.losesAnswersOf !== null && request.url.endsWith(this.losesAnswersOf)) return void response.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  }

  async #answer({ method, url, headers, body }: Seen): Promise<Served> {
    const path = new URL(url, this.url).pathname;
    const made = this.fixed[path];
    if (path === `${base}${this.refuses}`) return servedAs(err({ code: "forbidden", message: "not in its scope" }));
    if (made) return servedAs(ok(made));
    const { name = "health", input } = readRequest(method, url.replace(base, ""), body) ?? {};
    if (!isEngineOperation(name)) return { status: 404, body: "{}", retryAfter: null };
    const actor = { machine: machineOf(headers.authorization ?? ""), isAdmin: false };
    return servedAs(await this.host.call(name, input as InputOf<typeof name>, actor));
  }
}

const base = "/v1/workspaces/team";
const notOfTheEngine: Readonly<Record<string, unknown>> = {
  "/v1/workspaces": { workspace: "team", token: tokenOf("m1", "admin") },
  [`${base}/tokens`]: { id: "tok_1", token: tokenOf("m1") },
  [`${base}/health`]: { ...health, epoch: 0 },
};

function machineOf(authorization: string): string {
  const claims = Buffer.from(authorization.replace("Bearer shim_", "").split(".")[0] ?? "", "base64url").toString();
  return (JSON.parse(claims) as { m: string }).m;
}

import * as sessions from "#src/machine/sessions/sessions.ts";
import * as devices from "#src/machine/sharing/device.ts";
import type { Call } from "#src/coordinator-client/coordinator-client.ts";
import type { CallError } from "#src/contract/errors.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { LocalCalls } from "#src/runtime/runtime.ts";
import type { Platform } from "#src/coordinator-client/edge/platform.ts";
import type { Reach } from "#src/machine/recovery/elsewhere/candidates.ts";
import { createTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { buildSessionContent, encodeContent, type SessionContent } from "#src/machine/sharing/record-contents.ts";
import { seal } from "#src/machine/sharing/envelope.ts";
import { pull, type PullDeps } from "#src/machine/sharing/pull.ts";
import { addKey, createKey } from "#src/machine/sharing/key-ring.ts";
import type { Naming } from "#src/machine/team/chat-directory.ts";
import type { Team } from "#src/machine/team/team.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { FakeTime, seededRandom } from "#harness/clock/fake-time.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { Device, session as sessionRecord } from "./sealed-content.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";
import { join } from "node:path";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "#src/machine/sharing/sessions-elsewhere.ts";
import * as news from "#src/machine/sessions/news.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";

const key = createKey((bytes) => Uint8Array.from({ length: bytes }, (_, at) => at * 7));
const keys = { current: key, keys: new Map([[key.id, key]]) };

export const workspace = "team";
const edge = { url: "https://edge.example", workspace };
export const project = "project-key-1";

export class Machines {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly #all: MachineHome[] = [];
  isCut: (name: OperationName) => boolean = () => false;

  async add(name: string, options: TempRuntimeOptions = {}): Promise<MachineHome> {
    const runtime = tempRuntime(options);
    const device = new Device(this.host, `dev_${name}`, { machine: name, isAdmin: false });
    device.keyId = key.id;
    addKey(runtime.paths.home, edge, key);
    runtime.store.write((sql) => devices.join(sql, workspace, device.device, runtime.now()));
    const made = new MachineHome(this, name, runtime, device);
    this.#all.push(made);
    return made;
  }

  /** The same time passes everywhere. */
  wait(ms: number): void {
    this.host.wait(ms);
    for (const { runtime } of this.#all) runtime.wait(ms);
  }
}

export class MachineHome {
  readonly world: Machines;
  readonly name: string;
  readonly runtime: TempRuntime;
  readonly device: Device;

  constructor(world: Machines, name: string, runtime: TempRuntime, device: Device) {
    this.world = world;
    this.name = name;
    this.runtime = runtime;
    this.device = device;
  }

  team(): Team {
    const { runtime, name } = this;
    const naming: Naming = {
      project: () => Promise.resolve(ok(project)),
      metadata: () => Promise.resolve({}),
      titleOf: () => null,
    };
    return createTeam({ runtime, platform: aPlatform(), processOf: ({ id }) => processOf(id) }, () =>
      ok({ openedLink: { link: this.#link(), workspace, machine: name, edge }, naming }),
    );
  }

  async join(session: string): Promise<Reach> {
    const { runtime, name } = this;
    const link = this.#link();
    const chat = { chat: session, session, process: processOf(session), machine: name, client: "test" };
    given(await link.register(chat));
    return { ...this.#pullDeps(), runtime, link, chatId: session, machine: name, here: null };
  }

  async attest(session: string): Promise<void> {
    const input = { chat: session, machine: this.name, process: processOf(session) };
    given(await this.world.host.call("chats.attest-death", input, this.device.actor));
  }

  async pull(): Promise<void> {
    const { refused } = given(await pull(this.#pullDeps(), 0));
    if (refused.length > 0) throw new Error(JSON.stringify(refused));
  }

  /** Everything of a session that is stored here goes to the coordinator, or what a test makes of it. */
  async mirror(session: string, change: Partial<SessionContent> = {}): Promise<void> {
    const { device, runtime } = this;
    const row = runtime.store.read((sql) => sessions.get(sql, session), null);
    if (!row) throw new Error(`no session ${session}`);
    const content = runtime.store.read((sql) => buildSessionContent(sql, row, runtime.now()), null);
    const about = { workspace, kind: "session", device: device.device, session, item: "" } as const;
    const sealed = seal(key, about, encodeContent({ ...content, ...change } as SessionContent), runtime.random);
    if (!sealed.ok) throw new Error(sealed.error.code);
    const ageMs = runtime.now() - row.lastSeenAt;
    await device.put(sessionRecord(session, sealed.value, { project, ageMs, isEnded: row.endedAt !== null }));
  }

  #link(): WorkspaceClient {
    const call: LocalCalls["call"] = (name, input) => this.#call(name, input);
    return WorkspaceClient.openLocal({ call, onCommit: () => () => undefined, close: () => undefined }, aPlatform());
  }

  #pullDeps(): PullDeps {
    const call: Call = (name, input) => this.#call(name, input as never);
    return { runtime: this.runtime, call, workspace, keys, device: this.device.device };
  }

  #call<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<Result<OutputOf<Name>, CallError>> {
    const { world, device } = this;
    if (world.isCut(name)) return Promise.resolve(err({ code: "unreachable", message: "no answer came" }));
    return world.host.call(name as EngineOperation, input as never, device.actor) as never;
  }
}

function aPlatform(): Pick<Platform, "clock" | "setTimer" | "random"> {
  return { setTimer: new FakeTime().setTimer, random: seededRandom(1), clock: { monotonic: () => 0, wall: () => 0 } };
}

function processOf(session: string): string {
  return `boot:${session}`;
}

export const minute = 60_000;

/** `there` the session `dead` has died, `here` is the chat. */
export type World = Awaited<ReturnType<typeof aWorld>>;

/** A chat on one machine works on a file, its state is mirrored; then it is killed. A chat on another machine has started. */
export async function aWorld(
  options: { readonly isDead?: boolean; readonly isKnown?: boolean; readonly prompt?: string } = {},
) {
  const world = new Machines();
  const there = await world.add("desk");
  const here = await world.add("laptop");
  const dead = new Claude(there.runtime, { cwd: aProject(), session: "aaaa1111-0000-4000-8000-000000000001" });
  dead.turn(options.prompt ?? "fix the parser");
  dead.write(join(dead.cwd, "parser.ts"), "export const parser = 1;\n");
  dead.stop("The tokenizer drops the last line.");
  dead.prompt("and the lexer");
  const member = options.isKnown === false ? null : await there.join(dead.session);
  await there.mirror(dead.session);
  if (options.isDead !== false && options.isKnown !== false) await there.attest(dead.session);
  dead.kill();
  const chat = new Claude(here.runtime, { cwd: aProject(), session: "bbbb2222-0000-4000-8000-000000000002" });
  chat.start();
  world.wait(5 * minute);
  if (options.isDead === false) await member?.link.call("chats.heartbeat", {}, 1_000);
  await here.pull();
  const reach = { ...(await here.join(chat.session)), here: { root: chat.cwd, project } };
  return { world, there, here, dead, chat, reach };
}

/** A chat on a third machine, which has pulled what the others have sealed. */
export async function aRival({ world }: Pick<World, "world">) {
  const here = await world.add("tower");
  const chat = new Claude(here.runtime, { cwd: aProject(), session: "cccc3333-0000-4000-8000-000000000003" });
  chat.start();
  await here.pull();
  return { here, chat, reach: await here.join(chat.session) };
}

export function rowOf({ here }: Pick<World, "here">, { session }: Claude): SessionElsewhere {
  const [row] = here.runtime.store.read((sql) => elsewhere.list(sql, workspace, { session }), []);
  if (!row) throw new Error(`nothing is known of ${session}`);
  return row;
}

export function newsOf(home: MachineHome, session: string): news.News[] {
  return home.runtime.store.read((sql) => news.undelivered(sql, session, 20), []).map((row) => row.news);
}

import { join } from "node:path";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as devices from "#src/machine/sharing/device.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { Reach } from "#src/machine/recovery/elsewhere/candidates.ts";
import { createTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { buildSessionContent, encodeContent, type SessionContent } from "#src/machine/sharing/record-contents.ts";
import { seal } from "#src/machine/sharing/envelope.ts";
import { pull } from "#src/machine/sharing/pull.ts";
import type { WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import type { Team } from "#src/machine/team/team.ts";
import { ok } from "#src/shared/result.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { Device, session as sessionRecord } from "./sealed-content.ts";
import { aKey, aroundOf, rowIn, SyncMachine, SyncWorld } from "./sync-machine.ts";

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
    this.runtime.store.write((sql) => devices.join(sql, workspace, this.sealer.device, this.runtime.now()));
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
    const { runtime, name, edge } = this;
    const naming = {
      project: () => Promise.resolve(ok(project)),
      metadata: () => Promise.resolve({}),
      titleOf: () => null,
    };
    return createTeam({ runtime, platform: this.#platform, processOf: ({ id }) => processOf(id) }, () =>
      ok({ openedLink: { link: this.#link, workspace, machine: name, edge }, naming }),
    );
  }

  /** The session is a chat of the workspace from now on. */
  async register(session: string): Promise<Reach> {
    const { name: machine } = this;
    const link = this.#link;
    given(await link.register({ chat: session, session, process: processOf(session), machine, client: "test" }));
    return { ...this.#pulling, link, chatId: session, machine, here: null };
  }

  async attest(session: string): Promise<void> {
    const input = { chat: session, machine: this.name, process: processOf(session) };
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
    await sealer.put(sessionRecord(session, sealed.value, { project, ageMs, isEnded: row.endedAt !== null }));
  }

  chat(session: string): Claude {
    return new Claude(this.runtime, { cwd: aProject(), session });
  }
}

function processOf(session: string): string {
  return `boot:${session}`;
}

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

export function rowOf({ here }: Pick<World, "here">, { session }: Claude): elsewhere.SessionElsewhere {
  return rowIn(here, session);
}

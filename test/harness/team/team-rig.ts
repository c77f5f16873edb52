import { onTestFinished } from "vitest";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { openLocalCoordinator } from "#src/coordinator-client/client.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import type { Team } from "#src/machine/team/team.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { saveName } from "#src/machine/sharing/find-project.ts";
import { addKey, createKey } from "#src/machine/sharing/key-ring.ts";
import { given } from "#harness/coordinator/peers.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { platformOf } from "#harness/edge/edge-runtime.ts";
import { edgeUrl, FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { Machine } from "#harness/clock/fake-time.ts";
import { connect, type ConnectOptions } from "#harness/machine/mcp-process.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { identify } from "#src/platform/processes.ts";
import * as files from "#src/machine/sessions/reservation-table.ts";
import * as news from "#src/machine/sessions/news.ts";
import { insert } from "#harness/store/store-test.ts";

export type TeamChat = Awaited<ReturnType<TeamRig["attach"]>>;

export class TeamRig {
  readonly edge = new FakeEdge();
  readonly time = this.edge.time;
  readonly base: TempRuntime;
  readonly project = aProject();
  readonly machine: Machine;
  #pid = 1_000;

  constructor(options: TempRuntimeOptions = {}) {
    this.base = tempRuntime(options);
    this.machine = new Machine(this.time);
    let seen = this.time.now;
    this.time.onPassing(async () => {
      this.base.wait(this.time.now - seen);
      seen = this.time.now;
    });
    // Found once by git; here git is not asked.
    this.base.store.write((sql) => {
      for (const workspace of ["local", "w1"]) saveName(sql, workspace, this.project, "p1", this.base.now());
    });
  }

  async chat(prompt = "work"): Promise<TeamChat> {
    const pid = (this.#pid += 10);
    const session = `0000${pid}-04b4-4fe0-bbd5-6aa531354563`;
    const runtime = tempRuntime({ beside: this.base, config: this.base.config });
    const claude = new Claude(runtime, { pid, cwd: this.project, session });
    claude.start();
    claude.prompt(prompt);
    return this.attach(runtime, claude, pid + 1);
  }

  /** An MCP server of a chat: its first, or the one after `/mcp`. */
  async attach(runtime: TempRuntime, claude: Claude, serverPid: number) {
    const outside = platformOf(this.edge, this.machine, serverPid);
    let team: Team | null = null;
    const open: ConnectOptions["team"] = (client, server) => (team = openTeam(runtime, server, () => client, outside));
    const connected = await connect(runtime, { serverPid, clientPid: claude.pid, team: open });
    if (team === null) throw new Error("the team is switched off");
    const own: Team = team;
    onTestFinished(() => void own.end("goes_on"));
    const tick = async (): Promise<void> => {
      const current = connected.chat.current();
      await own.follow(current === null ? [] : [current]);
      for (const watch of own.watches()) await watch.checkMembers();
    };
    const news = async (): Promise<unknown> => (await connected.ask("shim_inbox")).output["news"];
    return { ...connected, claude, team: own, runtime, tick, news };
  }

  call<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    const { coordinator, close } = openLocalCoordinator(this.base);
    try {
      return given(coordinator.call(name, input));
    } finally {
      close();
    }
  }
}

/** Two chats of one machine, which has joined a workspace at an edge where `edge` is given. */
export async function twoChats(edge?: { readonly hasKey: boolean }) {
  const rig = new TeamRig();
  const { home } = rig.base.paths;
  const workspace = { url: edgeUrl, workspace: "w1" };
  if (edge) writeEdgeConfig(home, { ...workspace, machine: "m1", token });
  const key = createKey((bytes) => new Uint8Array(bytes).fill(7));
  if (edge?.hasKey) addKey(home, workspace, key);
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  for (const chat of [one, other]) await rig.time.until(chat.tick());
  return { rig, one, other };
}

/** What the chat's MCP process writes when it registers. */
export function joinTeam(runtime: TempRuntime, claude: Claude, project = "parser"): void {
  const owner = identify(runtime.processes, claude.pid);
  if (!owner) throw new Error(`there is no process ${claude.pid}`);
  const { session } = claude;
  const row = { session, workspace: "w", chat: session, incarnation: 1, process: processKey(owner) };
  runtime.store.write((sql) => insert(sql, "team_chats", { ...row, at: runtime.now() }, "ON CONFLICT DO NOTHING"));
  nameProject(runtime, claude.cwd, project);
}

export function nameProject(runtime: TempRuntime, root: string, project = "parser"): void {
  const row = { workspace: "w", root, project, at: runtime.now() };
  const change = "ON CONFLICT DO UPDATE SET project = excluded.project";
  runtime.store.write((sql) => insert(sql, "team_projects", row, change));
}

export function reservationReceived(runtime: TempRuntime, reservation: Partial<files.Reservation>): void {
  const held = { holder: "b-chat", holderName: "write the lexer", machine: "other-machine", checkout: "" };
  const usual = { resource: "file:parser/one.ts", workspace: "w", ...held, token: 1, since: runtime.now() };
  const one: files.Reservation = { ...usual, ...reservation };
  runtime.store.write((sql) => files.upsert(sql, runtime.now(), one));
}

let keys = 0;

export function hear(runtime: TempRuntime, claude: Claude, one: news.News): void {
  runtime.store.write((sql) => void news.add(sql, runtime.now(), claude.session, `k${(keys += 1)}`, one));
}

export function aMessage(text: string, overrides: Partial<Extract<news.News, { kind: "message" }>> = {}): news.News {
  return { kind: "message", id: 1, from: "b-chat", fromName: "write the lexer", topic: null, text, ...overrides };
}

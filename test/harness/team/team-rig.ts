import { onTestFinished } from "vitest";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { openLocalCoordinator } from "#src/coordinator-client/client.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import type { Team } from "#src/machine/team/team.ts";
import { saveName } from "#src/machine/sharing/find-project.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { platformOf } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { FakeTime, Machine } from "#harness/clock/fake-time.ts";
import { connect, type Connected } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";

/** One chat of Claude Code with its hooks and its MCP server. */
export interface TeamChat extends Connected {
  readonly claude: Claude;
  readonly team: Team;
  readonly runtime: TempRuntime;
  /** What its inbox gives. */
  readonly news: () => Promise<unknown>;
  /** What the process does from time to time. */
  readonly tick: () => Promise<void>;
}

/** A machine with chats, in a time that only the test moves. */
export class TeamRig {
  readonly time: FakeTime;
  readonly edge: FakeEdge;
  readonly base: TempRuntime;
  readonly project = aProject();
  readonly machine: Machine;
  #pid = 1_000;

  constructor(options: TempRuntimeOptions & { readonly edge?: FakeEdge } = {}) {
    this.edge = options.edge ?? new FakeEdge();
    this.time = this.edge.time;
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

  /** A chat that has begun to work; with a title where there is a prompt. */
  async chat(
    prompt = "work",
    options: { readonly session?: string; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<TeamChat> {
    const pid = (this.#pid += 10);
    const { session = `0000${pid}-04b4-4fe0-bbd5-6aa531354563`, env = {} } = options;
    const runtime = tempRuntime({ beside: this.base, env, config: this.base.config });
    const claude = new Claude(runtime, { pid, cwd: this.project, session });
    claude.start();
    claude.prompt(prompt);
    return this.attach(runtime, claude, pid + 1);
  }

  /** An MCP server of a chat: its first, or the one after `/mcp`. */
  async attach(runtime: TempRuntime, claude: Claude, serverPid: number): Promise<TeamChat> {
    const outside = platformOf(this.edge, this.machine, serverPid);
    let team: Team | null = null;
    const connected = await connect(runtime, {
      serverPid,
      clientPid: claude.pid,
      team: (client, server) => {
        team = openTeam(runtime, server, () => client, outside);
        return team;
      },
    });
    if (team === null) throw new Error("the team is switched off");
    const own: Team = team;
    onTestFinished(() => void own.end("goes_on"));
    const tick = async (): Promise<void> => {
      await own.follow(connected.chat.current());
      for (const watch of own.watches()) await watch.checkMembers();
    };
    const news = async (): Promise<unknown> => (await connected.ask("shim_inbox")).output["news"];
    return { ...connected, claude, team: own, runtime, tick, news };
  }

  /** By another process of this machine, at its own coordinator. */
  call<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    const { coordinator, close } = openLocalCoordinator(this.base);
    try {
      return given(coordinator.call(name, input));
    } finally {
      close();
    }
  }
}

/** Two chats in one project, both in the team. */
export async function twoChats(): Promise<{ rig: TeamRig; one: TeamChat; other: TeamChat }> {
  const rig = new TeamRig();
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  await one.tick();
  await other.tick();
  return { rig, one, other };
}

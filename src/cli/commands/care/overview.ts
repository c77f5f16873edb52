import type { Runtime } from "../../../runtime/runtime.ts";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { ClientState } from "../../../contract/machine/overview.ts";
import { err, ok } from "../../../shared/result.ts";
import { fromHost, type CliResult } from "../../answer.ts";
import type { FleetRow } from "../../../contract/live-page.ts";
import { OtherMachines } from "../web/other-machines.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { Lease } from "../../../contract/leases.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import type { ListedChat, ShownChat } from "../../../contract/machine/team.ts";
import { isPresent, listChats, showChat } from "../../../local-mcp/host/chat-names.ts";
import { allChats } from "../../chat-names.ts";
import type { Cli } from "../../cli.ts";
import { StoreError } from "../../../store/store-error.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { commandLine } from "../../../contract/command-line-chat.ts";

/** Printed as JSON: fields are only added. */
export interface Overview extends MachineOutput<"overview.get"> {
  readonly clients: readonly ClientState[];
  readonly team: ShownTeam;
}

/** @param clients who were read before: reading their files is slow */
export async function readOverview(
  cli: Cli,
  clients: readonly ClientState[],
  team: TeamOverview,
): Promise<CliResult<Overview>> {
  const machine = await cli.call("overview.get", {});
  if (!machine.ok) return machine;
  try {
    return ok({ ...machine.value, clients, team: showTeam(await cli.runtime(), team) });
  } catch (error) {
    if (error instanceof StoreError) return fromHost(err({ code: error.code, message: error.message }));
    throw error;
  }
}

/** Printed as JSON: fields are only added. */
export interface TeamOverview {
  readonly where: string;
  readonly isEdge: boolean;
  /** Why the team could not be read; null: the rest is current. */
  readonly trouble: string | null;
  /** Chats that are neither offline nor the command line. */
  readonly chats: readonly Chat[];
  readonly tasks: OutputOf<"tasks.progress"> | null;
  readonly underWay: readonly TaskLine[];
  readonly names: Readonly<Record<string, ChatName>>;
  readonly files: readonly Lease[];
  /** Sessions of other machines that died and can be continued here. */
  readonly elsewhere: readonly FleetRow[];
}

/** Read as often as the sessions are: a chat of this machine has one state in both. */
export interface ShownTeam extends Omit<TeamOverview, "chats"> {
  readonly chats: readonly ShownChat[];
}

function showTeam(runtime: Runtime, team: TeamOverview): ShownTeam {
  return { ...team, chats: team.chats.map((chat) => showChat(runtime, chat)).filter(isPresent) };
}

interface ChatName {
  readonly shortId: string;
  readonly title: string | null;
}

const maxItems = 50;

export class TeamReader {
  readonly #cli: Cli;
  readonly #others: OtherMachines;
  #link: Workspace | null = null;

  constructor(cli: Cli, runtime: Runtime) {
    this.#cli = cli;
    this.#others = new OtherMachines(runtime, cli.command);
  }

  async read(): Promise<TeamOverview> {
    const link = await this.#open();
    if (typeof link === "string") return { ...emptyOverview, where: "edge.json", isEdge: true, trouble: link };
    try {
      return await readTeam(this.#cli, link, this.#others);
    } catch (error) {
      // A busy or damaged file must not hide the rest of the view.
      if (!(error instanceof StoreError)) throw error;
      return { ...emptyOverview, trouble: error.message };
    }
  }

  async #open(): Promise<Workspace | string> {
    if (this.#link) return this.#link;
    const opened = await this.#cli.workspace();
    return opened.ok ? (this.#link = opened.value) : opened.error.message;
  }

  close(): void {
    this.#link?.close();
    this.#link = null;
  }
}

const emptyOverview: TeamOverview = {
  where: "this machine",
  isEdge: false,
  trouble: null,
  chats: [],
  names: {},
  tasks: null,
  underWay: [],
  files: [],
  elsewhere: [],
};

async function readTeam(cli: Cli, link: Workspace, others: OtherMachines): Promise<TeamOverview> {
  const base = { where: link.where, isEdge: link.isEdge };
  const chats = await allChats(link);
  const tasks = await link.call("tasks.progress", {});
  const assigned = await link.call("tasks.list", { state: "assigned", limit: maxItems });
  const running = await link.call("tasks.list", { state: "running", limit: maxItems });
  const leases = await link.call("leases.list", { prefix: "file:", limit: maxItems });
  if (chats.ok && tasks.ok && assigned.ok && running.ok && leases.ok) {
    return {
      ...base,
      trouble: null,
      names: toNames(listChats(await cli.runtime(), link.machine, chats.value)),
      chats: chats.value.filter(({ status, client }) => status !== "offline" && client !== commandLine),
      tasks: tasks.value,
      underWay: [...running.value.tasks, ...assigned.value.tasks],
      files: leases.value.leases,
      elsewhere: link.isEdge ? await others.listDead(link, chats.value) : [],
    };
  }
  const [trouble] = [chats, tasks, assigned, running, leases].flatMap((one) => (one.ok ? [] : [one.error.message]));
  return { ...emptyOverview, ...base, trouble: trouble ?? null };
}

function toNames(chats: readonly ListedChat[]): Record<string, ChatName> {
  return Object.fromEntries(chats.map(({ chat, shortId, title }) => [chat, { shortId, title }]));
}

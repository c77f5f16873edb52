import type { Chat } from "../../contract/chats.ts";
import { commandLine } from "../../contract/command-line-chat.ts";
import type { TeamView } from "../../contract/machine/overview.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/elapsed.ts";
import { NeedsHostError, StoreError } from "../../store/store-error.ts";
import { isPresent, listChats, showChat } from "./chat-names.ts";
import type { HostResult } from "./host.ts";
import type { ClientWorkspace } from "./workspace.ts";
import type { OtherMachines } from "./other-machines.ts";

interface ReadTeam extends Omit<TeamView, "chats"> {
  /** Neither offline nor the command line. */
  readonly chats: readonly Chat[];
}

const maxItems = 50;
const nothing = { trouble: null, chats: [], names: {}, tasks: null, underWay: [], files: [], elsewhere: [] };

interface TeamReaderDeps {
  readonly open: () => Promise<HostResult<ClientWorkspace>>;
  readonly others: OtherMachines;
}

/** Reads the chats of the machine's workspace, and their work. */
export class TeamReader {
  readonly #deps: TeamReaderDeps;
  #last: { readonly team: ReadTeam; readonly at: number } | null = null;

  constructor(deps: TeamReaderDeps) {
    this.#deps = deps;
  }

  /** @param maxAgeMs of a team on an edge; the states of its chats are always read */
  async read(runtime: Runtime, maxAgeMs: number, command: string): Promise<TeamView> {
    const now = runtime.now();
    const last = this.#last;
    const isFresh = last?.team.isEdge === true && maxAgeMs > 0 && isWithin(now - last.at, maxAgeMs);
    const team = isFresh ? last.team : await this.#readNow(runtime, command);
    if (!isFresh) this.#last = { team, at: now };
    return { ...team, chats: team.chats.map((chat) => showChat(runtime, chat)).filter(isPresent) };
  }

  async #readNow(runtime: Runtime, command: string): Promise<ReadTeam> {
    try {
      const opened = await this.#deps.open();
      if (!opened.ok) return { ...nothing, where: "edge.json", isEdge: true, trouble: opened.error.message };
      return await this.#readFrom(runtime, opened.value, command);
    } catch (error) {
      // A busy or damaged file must not hide the rest of the view.
      if (!(error instanceof StoreError) || error instanceof NeedsHostError) throw error;
      return { ...nothing, where: "this machine", isEdge: false, trouble: error.message };
    }
  }

  async #readFrom(runtime: Runtime, workspace: ClientWorkspace, command: string): Promise<ReadTeam> {
    const { where, isEdge } = workspace;
    const chats = await workspace.list("chats.list", {});
    const tasks = await workspace.call("tasks.progress", {});
    const assigned = await workspace.call("tasks.list", { state: "assigned", limit: maxItems });
    const running = await workspace.call("tasks.list", { state: "running", limit: maxItems });
    const leases = await workspace.call("leases.list", { prefix: "file:", limit: maxItems });
    if (chats.ok && tasks.ok && assigned.ok && running.ok && leases.ok) {
      const all = chats.value.chats;
      return {
        where,
        isEdge,
        trouble: null,
        tasks: tasks.value,
        names: Object.fromEntries(
          listChats(runtime, workspace.machine, all).map(({ chat, shortId, title }) => [chat, { shortId, title }]),
        ),
        chats: all.filter(({ status, client }) => status !== "offline" && client !== commandLine),
        underWay: [...running.value.tasks, ...assigned.value.tasks],
        files: leases.value.leases,
        elsewhere: isEdge ? await this.#deps.others.listDead(runtime, all, command) : [],
      };
    }
    const failed = [chats, tasks, assigned, running, leases].find((one) => !one.ok);
    return { ...nothing, where, isEdge, trouble: failed?.ok === false ? failed.error.message : null };
  }
}

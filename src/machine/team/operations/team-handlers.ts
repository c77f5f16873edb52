import type { ForeseenConflict, ListedChat, ShownChat } from "../../../contract/machine/team.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import type { HandlerContext, Handlers } from "../../recovery/handler-context.ts";
import type { KeptWorkspace } from "../../sharing/operations/kept-workspace.ts";
import type { Workspace } from "../../sharing/operations/workspace.ts";
import { stateText, workProgress, type ShownState } from "../../../contract/chat-state.ts";
import { type Chat, commandLine } from "../../../contract/chats.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { oneLine } from "../../../shared/format.ts";
import { shortIds } from "../../../contract/short-id.ts";
import { findSession, pickOne, shortSession } from "../../recovery/resolve-id.ts";
import { readChatState } from "../../recovery/session-state.ts";
import * as sessions from "../../sessions/sessions.ts";
import { createNaming, folderOf } from "../chat-directory.ts";
import { openConflicts } from "../conflicts.ts";
import type { TeamView } from "../../../contract/machine/overview.ts";
import { isWithin } from "../../../shared/known-time.ts";
import { NeedsHostError, StoreError } from "../../../store/store-error.ts";
import type { OtherMachines } from "../../recovery/other-machines.ts";

export const teamHandlers = {
  async "team.chats"(context, { all, state }) {
    const listed = await allChats(context);
    if (!listed.ok) return listed;
    const { where, chats } = listed.value;
    const shown = chats.filter((one) => (state === undefined ? all || isPresent(one) : one.state === state));
    return ok({ where, chats: shown, hidden: state === undefined ? chats.length - shown.length : 0 });
  },
  async "team.conflicts"({ runtime: load }) {
    const runtime = await load();
    const { isEnabled, conflicts } = runtime.config.team;
    return ok({ isOn: isEnabled && conflicts, conflicts: readConflicts(runtime) });
  },
  async "team.find-chat"(context, { chat }) {
    const listed = await allChats(context);
    const found = listed.ok ? findChat(await context.runtime(), listed.value.chats, chat) : listed;
    return found.ok ? ok({ chat: found.value }) : found;
  },
} satisfies Partial<Handlers>;

export function readConflicts(runtime: Runtime): ForeseenConflict[] {
  return runtime.store.read((sql) => openConflicts(sql, runtime), []);
}

async function allChats(
  context: HandlerContext,
): Promise<Result<{ readonly where: string; readonly chats: ListedChat[] }>> {
  const workspace = await context.workspace.open();
  if (!workspace.ok) return workspace;
  const listed = await workspace.value.list("chats.list", {});
  if (!listed.ok) return listed;
  const { where } = workspace.value;
  const runtime = await context.runtime();
  const { persons, scripts } = byWhom(runtime, listed.value.chats);
  return ok({ where, chats: listChats(runtime, workspace.value, [...persons, ...scripts]) });
}

/** A chat whose session this machine does not have counts as a person's. */
function byWhom<One extends { readonly chat: string }>({ store }: Runtime, chats: readonly One[]) {
  const isScript = ({ chat }: One): boolean => store.read((sql) => sessions.get(sql, chat)?.isScripts === true, false);
  const { true: scripts = [], false: persons = [] } = Object.groupBy(chats, (one) => `${isScript(one)}` as const);
  return { persons, scripts };
}

/** @param chats all of the workspace, among which a short id is unique */
function listChats(runtime: Runtime, { scope }: Workspace, chats: readonly Chat[]): ListedChat[] {
  const naming = createNaming(runtime, scope);
  const short = shortIds(chats.map(({ chat }) => chat));
  return chats.map((chat) => {
    const session = runtime.store.read((sql) => sessions.get(sql, chat.chat), null);
    const title = (session && sessions.displayTitle(session)) ?? naming.titleOf(chat);
    return {
      ...showChat(runtime, chat),
      shortId: short(chat.chat),
      title: chat.client === commandLine ? "(the command line)" : title,
      project: session?.project ?? folderOf(chat.metadata["checkout"]),
    };
  });
}

export function showChat(runtime: Runtime, chat: Chat): ShownChat {
  const { status: _status, reason: _reason, isRecoverable: _isRecoverable, ...rest } = chat;
  return { ...rest, progress: workProgress(chat), ...readChatState(runtime, chat) };
}

/** A session's process may have ended before the coordinator notices it. */
export function isPresent({ state }: ShownState): boolean {
  return state !== "died" && state !== "ended";
}

/** Resolves what a text names; the coordinator answers for an unknown id. */
function findChat(runtime: Runtime, chats: readonly ListedChat[], text: string): Result<string> {
  const matching = chatsNamed(chats, text).map((one) => ({ id: one.chat, one }));
  // No id has a blank.
  if (matching.length === 0 && !/\s/.test(text)) return orSession(runtime, text);
  const found = pickOne(matching, text, {
    what: "chat",
    list: "shim team chats",
    describe: ({ one }) => `${one.shortId}  ${stateText(one)}  ${oneLine(one.title ?? one.client, 60)}`,
  });
  return found.ok ? ok(found.value.id) : found;
}

/** @returns the text, unless it begins the id of a session that is in no team */
function orSession(runtime: Runtime, text: string): Result<string> {
  const found = findSession(runtime, text);
  if (!found.ok) return found.error.code === "ambiguous" ? found : ok(text);
  const { id } = found.value;
  const message = `session ${shortSession(runtime, id)} is in no team: \`shim team chats\` lists who is.`;
  return id === text ? ok(id) : fail("not_found", message);
}

/** The chats of this id or title, else those whose id begins so, else those whose title does. */
export function chatsNamed<One extends { readonly chat: string; readonly title: string | null }>(
  chats: readonly One[],
  text: string,
): readonly One[] {
  const name = text.trim().toLowerCase();
  const titleOf = ({ title }: One): string => title?.toLowerCase() ?? "";
  const rules = [
    (one: One) => one.chat === text,
    (one: One) => name !== "" && titleOf(one) === name,
    (one: One) => one.chat.startsWith(text),
    (one: One) => name !== "" && titleOf(one).startsWith(name),
  ];
  return rules.map((fits) => chats.filter(fits)).find(({ length }) => length > 0) ?? [];
}

interface ReadTeam extends Omit<TeamView, "chats"> {
  /** Neither offline nor the command line. */
  readonly chats: readonly Chat[];
}

const maxItems = 50;
const nothing = { trouble: null, chats: [], names: {}, tasks: null, underWay: [], files: [], elsewhere: [] };

/** Reads the chats of the machine's workspace, and their work. */
export class TeamReader {
  readonly #workspace: KeptWorkspace;
  readonly #others: OtherMachines;
  #last: { readonly team: ReadTeam; readonly at: number } | null = null;

  constructor(workspace: KeptWorkspace, others: OtherMachines) {
    this.#workspace = workspace;
    this.#others = others;
  }

  /** @param maxAgeMs of a team on an edge; the states of its chats are always read */
  async read(runtime: Runtime, maxAgeMs: number): Promise<TeamView> {
    const now = runtime.now();
    const last = this.#last;
    const isFresh = last?.team.isEdge === true && maxAgeMs > 0 && isWithin(now - last.at, maxAgeMs);
    const team = isFresh ? last.team : await this.#readNow(runtime);
    if (!isFresh) this.#last = { team, at: now };
    const { persons, scripts } = byWhom(runtime, team.chats.map((chat) => showChat(runtime, chat)).filter(isPresent));
    return { ...team, chats: persons.length > 0 ? persons : scripts };
  }

  async #readNow(runtime: Runtime): Promise<ReadTeam> {
    try {
      const opened = await this.#workspace.open();
      if (!opened.ok) return { ...nothing, where: "edge.json", isEdge: true, trouble: opened.error.message };
      return await this.#readFrom(runtime, opened.value);
    } catch (error) {
      // A busy or damaged file must not hide the rest of the view.
      if (!(error instanceof StoreError) || error instanceof NeedsHostError) throw error;
      return { ...nothing, where: "this machine", isEdge: false, trouble: error.message };
    }
  }

  async #readFrom(runtime: Runtime, workspace: Workspace): Promise<ReadTeam> {
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
          listChats(runtime, workspace, all).map(({ chat, shortId, title }) => [chat, { shortId, title }]),
        ),
        chats: all.filter(({ status, client }) => status !== "offline" && client !== commandLine),
        underWay: [...running.value.tasks, ...assigned.value.tasks],
        files: leases.value.leases,
        elsewhere: isEdge ? await this.#others.listDead(runtime, all) : [],
      };
    }
    const failed = [chats, tasks, assigned, running, leases].find((one) => !one.ok);
    return { ...nothing, where, isEdge, trouble: failed?.ok === false ? failed.error.message : null };
  }
}

import type { Chat } from "../../contract/chats.ts";
import { isRefusal } from "../../contract/errors.ts";
import type { FleetRow } from "../../contract/machine/page.ts";
import type { InputOf } from "../../contract/operations.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/elapsed.ts";
import { err, ok } from "../../shared/result.ts";
import { findOpenOffer, type OpenOffer } from "../recovery/detect.ts";
import { findElsewhere, type DeadRemoteSession } from "../recovery/remote-candidates.ts";
import { remoteContext, type ProjectHere, type RemoteContext } from "../recovery/remote-context.ts";
import { toSession } from "../recovery/remote-session.ts";
import { stateOfDead } from "../recovery/remote-state.ts";
import { projectRoot } from "../sessions/git-head.ts";
import { findProject } from "../sync/find-project.ts";
import { pull } from "../sync/pull.ts";
import type { HostContext, Host, HostResult } from "./host.ts";
import type { KeptWorkspace } from "./local-host.ts";
import { shortSession } from "./resolve-id.ts";

const callTimeoutMs = 15_000;
const maxSessions = 50;
/** Time between two pulls for the page; a chat of this machine that syncs pulls more often. */
const pullEveryMs = 60_000;

/** Sessions of the workspace's other machines, for the user, who is no chat. */
export class OtherMachines {
  readonly #workspace: KeptWorkspace;
  readonly #call: Host["call"];
  #pulled = { at: 0, revision: 0 };

  constructor(workspace: KeptWorkspace, call: Host["call"]) {
    this.#workspace = workspace;
    this.#call = call;
  }

  /** [RE27] @returns null: without a workspace on an edge, or without a key of it */
  async read(runtime: Runtime, progress: HostContext["progress"]): Promise<RemoteContext | null> {
    const context = await this.#context(runtime, []);
    if (!context) return null;
    const trouble = await this.#pull(runtime);
    if (trouble !== null) progress?.(`Other machines as of the last sync: ${trouble}.`);
    return { ...context, isStale: trouble !== null };
  }

  /**
   * [WP19] Sessions that died and can be continued here; after a failure as of the last sync.
   *
   * @param chats all of the workspace, so that none is asked for again
   * @param command how the user types `shim` here
   */
  async listDead(runtime: Runtime, chats: readonly Chat[], command: string): Promise<FleetRow[]> {
    const context = await this.#context(runtime, chats);
    if (!context) return [];
    const now = runtime.now();
    if (!isWithin(now - this.#pulled.at, pullEveryMs)) await this.#pull(runtime);
    const dead = await findElsewhere(context, undefined, maxSessions);
    const short = (session: string): string => shortSession(runtime, session);
    return dead.map((one) => {
      const offer = runtime.store.read((sql) => findOpenOffer(sql, runtime.processes, now, one.row.session), null);
      return toRow(one, { now, short, command, offer });
    });
  }

  async #context(runtime: Runtime, chats: readonly Chat[]): Promise<RemoteContext | null> {
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok || !edge.value) return null;
    const opened = await this.#workspace.open();
    if (!opened.ok) return null;
    const { url, workspace, machine } = edge.value;
    const { client } = opened.value;
    const chatsById = new Map(chats.map((one) => [one.chat, one]));
    const call = (async (name, input, deadlineMs = callTimeoutMs) => {
      const chat = name === "chats.get" ? chatsById.get((input as unknown as InputOf<"chats.get">).chat) : undefined;
      if (chat) return ok(chat);
      const answer = await client.call(name, input, deadlineMs);
      if (answer.ok || isRefusal(answer.error)) return answer;
      return err({ ...answer.error, message: `${url} did not answer: ${answer.error.message}` });
    }) as Call;
    return remoteContext(runtime, { link: { self: null, call }, edge: edge.value, workspace, machine }, "");
  }

  /** @returns why not */
  async #pull({ now }: Runtime): Promise<string | null> {
    const at = now();
    this.#pulled = { ...this.#pulled, at };
    const pulled = await this.#call("workspace.pull", { after: this.#pulled.revision });
    if (!pulled.ok) return pulled.error.message;
    this.#pulled = { at, revision: pulled.value.revision };
    return null;
  }

  /** Stores what the others have stored since a revision. */
  async fetch(runtime: Runtime, after: number): Promise<HostResult<{ readonly revision: number }>> {
    const context = await this.#context(runtime, []);
    if (!context) return err({ code: "not_found", message: "this machine has no key of a workspace." });
    const pulled = await pull(context.mirror, after);
    return pulled.ok
      ? ok({ revision: pulled.value.revision })
      : err({ code: pulled.error.code, message: pulled.error.message });
  }
}

/** @returns the project's name in the workspace */
export function projectOf({ runtime, machine, mirror }: RemoteContext, root: string): Promise<string> {
  return findProject(runtime, { workspace: mirror.workspace, machine, key: mirror.keys.current }, root);
}

/** @returns null: the folder belongs to no project */
export async function projectOfFolderHere(context: RemoteContext, folder: string): Promise<ProjectHere | null> {
  const root = projectRoot(folder);
  return root === null ? null : { root, project: await projectOf(context, root) };
}

interface RowContext {
  readonly now: number;
  readonly short: (session: string) => string;
  readonly command: string;
  readonly offer: OpenOffer | null;
}

function toRow(dead: DeadRemoteSession, { now, short, command, offer }: RowContext): FleetRow {
  const { row, liveness } = dead;
  const shortId = short(row.session);
  const { id, client, project, title, model, readings, lastSeenAt, savedAt } = toSession(row);
  return {
    id,
    shortId,
    title,
    ...stateOfDead(dead, now, offer && { chat: short(offer.chat), msAgo: now - offer.at }),
    waitingMs: null,
    client,
    machine: row.machine,
    project,
    model,
    contextFill: readings.contextFill?.value ?? null,
    risk: null,
    cause: null,
    causeDetail: liveness.detail,
    seenAgeMs: Math.max(0, now - lastSeenAt),
    savedAgeMs: savedAt === null ? null : Math.max(0, now - savedAt),
    costUsdToday: null,
    taskCount: null,
    progress: null,
    resumeCommand: `${command} resume ${shortId}`,
  };
}

import type { Chat } from "../../contract/chats.ts";
import type { FleetRow } from "../../contract/machine/page.ts";
import type { InputOf } from "../../contract/operations.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/elapsed.ts";
import { err, ok } from "../../shared/result.ts";
import { findOpenOffer, type OpenOffer } from "../recovery/detect.ts";
import { findElsewhere, type DeadRemoteSession } from "../recovery/remote-candidates.ts";
import { remoteContext, type RemoteContext } from "../recovery/remote-context.ts";
import { toSession } from "../recovery/remote-session.ts";
import { stateOfDead } from "../recovery/remote-state.ts";
import { pull } from "../sync/pull.ts";
import { shortSession } from "./resolve-id.ts";
import type { ClientWorkspace } from "./workspace.ts";

const callTimeoutMs = 15_000;
const maxSessions = 50;
/** Time between two pulls for the page; a chat of this machine that syncs pulls more often. */
const pullEveryMs = 60_000;

/** [WP19] Sessions of the workspace's other machines that died and can be continued here. */
export class OtherMachines {
  #pulled = { at: 0, revision: 0 };

  /**
   * @param chats all of the workspace, so that none is asked for again
   * @param command how the user types `shim` here
   */
  async listDead(
    runtime: Runtime,
    workspace: ClientWorkspace,
    chats: readonly Chat[],
    command: string,
  ): Promise<FleetRow[]> {
    const context = contextOf(runtime, workspace, chats);
    if (!context) return [];
    await this.#pull(context);
    const dead = await findElsewhere(context, undefined, maxSessions);
    const short = (session: string): string => shortSession(runtime, session);
    const now = runtime.now();
    return dead.map((one) => {
      const offer = runtime.store.read((sql) => findOpenOffer(sql, runtime.processes, now, one.row.session), null);
      return toRow(one, { now, short, command, offer });
    });
  }

  /** After a failure sessions are shown as of the last sync. */
  async #pull({ runtime, mirror }: RemoteContext): Promise<void> {
    const now = runtime.now();
    if (isWithin(now - this.#pulled.at, pullEveryMs)) return;
    this.#pulled = { ...this.#pulled, at: now };
    const pulled = await pull(mirror, this.#pulled.revision);
    if (pulled.ok) this.#pulled = { at: now, revision: pulled.value.revision };
  }
}

function contextOf(runtime: Runtime, { client }: ClientWorkspace, chats: readonly Chat[]): RemoteContext | null {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok || !edge.value) return null;
  const known = new Map(chats.map((one) => [one.chat, one]));
  const getKnown = ({ chat }: InputOf<"chats.get">): unknown => {
    const found = known.get(chat);
    return found ? ok(found) : err({ code: "unknown_chat", message: `there is no chat ${chat}` });
  };
  const call = ((name, input, deadlineMs = callTimeoutMs) =>
    name === "chats.get"
      ? Promise.resolve(getKnown(input as unknown as InputOf<"chats.get">))
      : client.call(name, input, deadlineMs)) as Call;
  const { workspace, machine } = edge.value;
  return remoteContext(runtime, { link: { self: null, call }, edge: edge.value, workspace, machine }, "");
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

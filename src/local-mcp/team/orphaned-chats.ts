import * as sessions from "../sessions/sessions.ts";
import * as queuedCalls from "./queued-calls.ts";
import * as members from "./members.ts";
import { within, type Platform } from "../../coordinator-client/edge/platform.ts";
import { readProcessKey } from "../../coordinator-client/local/process-key.ts";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import { mayBeAlive } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Member } from "./members.ts";
import { Outbox } from "./outbox.ts";

export interface OrphanDeps {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random">;
  readonly open: () => OpenedLink | null;
}

const attestTimeoutMs = 10_000;
const sendTimeoutMs = 60_000;
const leaveTimeoutMs = 2_000;

export function deadMembers({ store, processes }: Runtime, workspace: string): Member[] {
  return store
    .read((sql) => members.inWorkspace(sql, workspace), [])
    .filter(({ process }) => {
      const owner = readProcessKey(process);
      return owner !== null && !mayBeAlive(processes, owner);
    });
}

/** [TE15] Sends the kept calls of a dead chat, then releases all that it holds. */
export async function cleanUp(deps: OrphanDeps, openedLink: OpenedLink, member: Member): Promise<void> {
  const { runtime } = deps;
  const { sessionId, process } = member;
  const hasKeptCalls = runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) > 0;
  const isDone = hasKeptCalls ? await sendKeptCalls(deps, member) : await attestDeath(openedLink, member);
  if (isDone) runtime.store.write((sql) => members.remove(sql, sessionId, process));
}

/** A coordinator on one machine sees the death itself. */
async function attestDeath({ link, machine, edge }: OpenedLink, { chat, process }: Member): Promise<boolean> {
  if (edge === null) return true;
  const answer = await link.call("chats.attest-death", { chat, machine, process }, attestTimeoutMs);
  return answer.ok || answer.error.code === "unknown_chat";
}

/** Claims are valid within the grace period of a lost connection. */
async function sendKeptCalls({ runtime, platform, open }: OrphanDeps, member: Member): Promise<boolean> {
  const openedLink = open();
  if (!openedLink) return false;
  const { sessionId, workspace, chat, process } = member;
  const { link, machine } = openedLink;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const client = session?.client.slice(0, 200) || "unknown";
  const registered = await link.register({ chat, session: sessionId, process, machine, client, capacity: 0 });
  const outbox = new Outbox({ runtime, platform, link, sessionId, workspace });
  if (registered.ok) await within(platform, sendTimeoutMs, outbox.whenEmpty());
  outbox.close();
  if (registered.ok) await link.leave(leaveTimeoutMs);
  link.close();
  return runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) === 0;
}

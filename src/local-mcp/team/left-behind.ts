import type { Outside } from "../edge/outside.ts";
import { readProcessKey } from "../coordinator/process-key.ts";
import type { OpenedLink } from "../link/open-link.ts";
import { mayBeAlive } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import * as keptCalls from "./kept-calls.ts";
import * as members from "./members.ts";
import type { Member } from "./members.ts";
import { Outbox } from "./outbox.ts";

export interface LeftSurroundings {
  readonly runtime: Runtime;
  readonly outside: Pick<Outside, "setTimer" | "random">;
  /** Opens a link to the workspace of the chats. */
  readonly open: () => OpenedLink | null;
}

const attestWithinMs = 10_000;
/** Time limit for all kept calls of a chat, in ms. */
const sayWithinMs = 60_000;
const leaveWithinMs = 2_000;

/** Chats of this machine whose process is gone. */
export function deadMembers({ store, processes }: Runtime, workspace: string): Member[] {
  return store
    .read((sql) => members.inWorkspace(sql, workspace), [])
    .filter(({ process }) => {
      const owner = readProcessKey(process);
      return owner !== null && !mayBeAlive(processes, owner);
    });
}

/** [TE15] Sends the kept calls of a chat whose process died; then all that it holds is released. */
export async function settle(around: LeftSurroundings, opened: OpenedLink, member: Member): Promise<void> {
  const { runtime } = around;
  const { sessionId, process } = member;
  const isOpen = runtime.store.read((sql) => keptCalls.count(sql, sessionId), 0) > 0;
  const isSettled = isOpen ? await sayAll(around, member) : await attest(opened, member);
  if (isSettled) runtime.store.write((sql) => members.drop(sql, sessionId, process));
}

/** On one machine the coordinator sees the death by itself. */
async function attest({ link, machine, edge }: OpenedLink, { chat, process }: Member): Promise<boolean> {
  if (edge === null) return true;
  const answer = await link.call("chats.attest-death", { chat, machine, process }, attestWithinMs);
  return answer.ok || answer.error.code === "unknown_chat";
}

/** Within the grace period of a lost connection its claims are valid, so that its results count. */
async function sayAll({ runtime, outside, open }: LeftSurroundings, member: Member): Promise<boolean> {
  const opened = open();
  if (!opened) return false;
  const { sessionId, workspace, chat, process } = member;
  const { link, machine, close } = opened;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const client = session?.client.slice(0, 200) || "unknown";
  const registered = await link.register({ chat, session: sessionId, process, machine, client, capacity: 0 });
  const outbox = new Outbox({ runtime, outside, link, sessionId, workspace });
  const late = Promise.withResolvers<void>();
  const cancel = outside.setTimer(() => late.resolve(), sayWithinMs);
  if (registered.ok) await Promise.race([outbox.whenEmpty(), late.promise]);
  cancel();
  outbox.close();
  if (registered.ok) await link.leave(leaveWithinMs);
  close();
  return runtime.store.read((sql) => keptCalls.count(sql, sessionId), 0) === 0;
}

import { existsSync } from "node:fs";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { pathsOf } from "../../clients/adapter/session-files.ts";
import { sessionFilesOf } from "../../clients/details.ts";
import type { HostStatus } from "../../contract/machine/installation.ts";
import { changedSince } from "../../machine/recovery/stores/kept-sessions.ts";
import { isHeldByAnother, sessionInEnv } from "../../machine/sessions/session-identity.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { notices as table } from "../../store/machine-tables.ts";
import * as notices from "../../store/notices.ts";

export interface SeenChat {
  readonly client: ProcessIdentity | null;
  readonly silent: HostStatus["chats"][number]["silent"];
}

const kind = "unseen_chat";
/** A client may write before its server is started, and after its last event. */
const slackMs = 10_000;

/**
 * Whether a client works in a chat that sends no event, by what it writes: a session that its
 * environment names, else one of which no event came from any of its windows.
 *
 * @param since epoch ms, when the silent window began
 */
export function isAtWork({ env, store, processes }: Runtime, adapter: ClientAdapter, since: number): boolean {
  const files = sessionFilesOf(adapter.name);
  const id = adapter.variables.session === undefined ? null : sessionInEnv(env, adapter.name);
  if (files !== null && id !== null) return pathsOf(env, files, files.files, id).some(existsSync);
  const changed = changedSince({ env, driver: store.context.driver }, adapter.name, since - slackMs);
  return changed.some(({ id: one, changedAt }) => {
    const known = store.read((sql) => sessions.get(sql, one), null);
    if (known === null) return true;
    return changedAt > known.lastSeenAt + slackMs && !isHeldByAnother({ processes }, known, []);
  });
}

/**
 * Keeps a notice, which each command, status line and page shows, for as long as a chat is there of
 * which no event comes, or that has lost its front. One that is acknowledged is not shown again.
 */
export function noteUnseen({ store, fronts, now }: Runtime, chats: Iterable<SeenChat>): void {
  const texts = [...chats].flatMap(({ client, silent }) => {
    if (client && fronts.hasLost(client)) return [`SHIM's process of the chat ${client.pid} has died: /mcp there.`];
    const text = "is there, and no event comes of it: nothing of it is saved. `shim doctor` says why";
    return silent?.isAtWork ? [`A chat of ${silent.client} ${text}.`] : [];
  });
  const text = [...new Set(texts)].join(" ");
  if ((store.read((sql) => table.find(sql, { kind }), null)?.text ?? "") === text) return;
  store.write((sql) => {
    table.delete(sql, { kind });
    if (text !== "") notices.add(sql, now(), kind, text);
  });
}

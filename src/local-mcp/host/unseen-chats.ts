import type { HostStatus } from "../../contract/machine/installation.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { notices as table } from "../../store/machine-tables.ts";
import * as notices from "../../store/notices.ts";

export interface SeenChat {
  readonly client: ProcessIdentity | null;
  readonly silent: HostStatus["chats"][number]["silent"];
}

const kind = "unseen_chat";

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

import type { Message } from "../../contract/messages.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import * as inboxes from "./inboxes.ts";
import { toMessage } from "./messages.ts";
import * as unread from "./unread.ts";

/** Characters of a body, as JSON, that a hint may carry. */
const maxCarriedChars = 4_096;
/** Messages of all chats behind the cursor, above which the chat pulls: wildcards read each. */
const maxBehind = 200;

/**
 * [MS34] The message that a hint to the chat carries: the only one that a pull would return now, so
 * that nothing comes before it. Null: the chat pulls.
 */
export function findCarried(tx: Tx, chat: string): Message | null {
  const liveness = chatRows.findLiveness(tx, chat);
  if (!liveness || chatRows.offlineReason(tx, liveness)) return null;
  const at = inboxes.readCursor(tx.sql, chat);
  if (inboxes.newestId(tx.sql) - at.cursor > maxBehind) return null;
  const { rows, isAll } = unread.scan(tx, chat, at, { limit: 2 });
  const [row] = rows;
  if (!row || rows.length > 1 || !isAll) return null;
  const body = inboxes.readBody(tx.sql, row.id);
  return body.length > maxCarriedChars ? null : toMessage(tx, row, body);
}

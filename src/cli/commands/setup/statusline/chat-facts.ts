import type { Sql } from "../../../../shared/sql.ts";
import { quotedTitle } from "../../../../local-mcp/recovery/user-lines.ts";
import type { Runtime } from "../../../../runtime/runtime.ts";
import { hasDied } from "../../../../local-mcp/sessions/closed-sessions.ts";
import * as recoveries from "../../../../local-mcp/sessions/recoveries.ts";
import * as sessions from "../../../../local-mcp/sessions/sessions.ts";
import { waitingSessions } from "../../../../local-mcp/sessions/waiting.ts";
import * as news from "../../../../local-mcp/sessions/news.ts";
import { pluralize } from "../../../screen-text.ts";

/** Printed as JSON by `shim statusline --json`: fields are only added. */
export interface ChatFacts {
  readonly recovered: readonly string[];
  /** Undelivered messages of other chats. */
  readonly messages: number;
  readonly waiting: number;
}

export const noChatFacts: ChatFacts = { recovered: [], messages: 0, waiting: 0 };

const recoveredForMs = 600_000;

/** [CL67] */
export function chatFacts(sql: Sql, { processes, now }: Runtime, sessionId: string | null): ChatFacts {
  const waiting = waitingSessions(sql, processes, sessionId).length;
  if (sessionId === null) return { ...noChatFacts, waiting };
  return {
    recovered: recoveredTitles(sql, sessionId, now() - recoveredForMs),
    messages: news.countUndelivered(sql, sessionId, "message"),
    waiting,
  };
}

function recoveredTitles(sql: Sql, sessionId: string, since: number): string[] {
  return recoveries
    .listOfferedTo(sql, sessionId, since)
    .flatMap((given) => sessions.get(sql, given.sessionId) ?? [])
    .filter((dead) => hasDied(dead) && dead.recovery !== null && dead.recovery !== "dismissed")
    .map(({ title }) => quotedTitle(title, 40));
}

export function chatParts({ recovered, messages, waiting }: ChatFacts): string[] {
  return [
    ...(recovered.length > 0 ? [`recovered: ${recovered.join(", ")}`] : []),
    ...(messages > 0 ? [pluralize(messages, "message")] : []),
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
  ];
}

import type { ReceivedMessage } from "../../contract/machine/page.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as news from "../sessions/news.ts";
import type { News } from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { visible } from "../../shared/visible-text.ts";

const maxMessages = 200;
const maxChars = 2_000;

/** Notifications of this machine's chats, newest first. */
export function readMessages({ store, now }: Runtime): ReceivedMessage[] {
  return store.read(
    (sql) =>
      news.listNewest(sql, maxMessages).map(({ seq, at, session, deliveredAt, news: one }) => {
        const receiver = sessions.get(sql, session);
        return {
          id: seq,
          ageMs: now() - at,
          kind: one.kind,
          text: visible(textOf(one)).slice(0, maxChars),
          from: one.kind === "message" ? one.fromName : null,
          topic: one.kind === "message" ? one.topic : null,
          to: session,
          toTitle: receiver && sessions.displayTitle(receiver),
          isDelivered: deliveredAt !== null,
          status: deliveredAt === null ? "not shown yet" : "shown to it",
        };
      }),
    [],
  );
}

type TextOf = { readonly [K in News["kind"]]: (one: Extract<News, { readonly kind: K }>) => string };

const texts: TextOf = {
  message: ({ text }) => text,
  claim_lost: ({ task, title, reason }) => `task ${task} (${title}) was taken from it: ${reason}`,
  task_cancelled: ({ task, title, reason }) => `task ${task} (${title}) was cancelled: ${reason}`,
  task_available: ({ task, title }) => `task ${task} (${title}) waits for it`,
  report_refused: ({ task, reason }) => `its report on task ${task} was refused: ${reason}`,
  leader_changed: ({ name, leader }) => `the leader of ${name} is now ${leader ?? "no chat"}`,
  offer: ({ session, machine }) => `session ${session} of ${machine} is offered to it`,
  continued_elsewhere: ({ by, machine }) => `chat ${by} on ${machine} continues it`,
  compaction: () => news.compactionText,
  notice: ({ text }) => text,
};

function textOf(one: News): string {
  // A newer program may have more kinds.
  return Object.hasOwn(texts, one.kind) ? (texts[one.kind] as (one: News) => string)(one) : "";
}

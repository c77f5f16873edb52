import type { ReceivedMessage } from "../../contract/machine/page.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as news from "../sessions/news.ts";
import * as sessions from "../sessions/sessions.ts";
import { newsText } from "../team/news-text.ts";
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
          text: visible(one.kind === "message" ? one.text : newsText(one)).slice(0, maxChars),
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

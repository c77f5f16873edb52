import type { JSX } from "preact";
import type { ReceivedMessage } from "../../contract/live-page.ts";
import { matches, plain, words } from "../format.ts";
import { linkTo, query, useCall } from "../page-state.ts";
import { Age, Badge, Empty, Head, Shown } from "../parts/pieces.tsx";

/** Messages and other notifications of this machine's chats. */
export function MessagesView(): JSX.Element {
  const loaded = useCall("page.messages", {});
  return (
    <>
      <Head title="Messages" search="Search messages" />
      <Shown loaded={loaded}>
        {({ messages }) => {
          const fitting = messages.filter(({ text, from, toTitle, topic }) =>
            matches(query.value, [text, from, toTitle, topic]),
          );
          if (fitting.length === 0) return <NoMessages isSearch={messages.length > 0} />;
          return (
            <ul class="cards">
              {fitting.map((one) => (
                <MessageCard key={one.id} message={one} at={loaded.at} />
              ))}
            </ul>
          );
        }}
      </Shown>
    </>
  );
}

function NoMessages({ isSearch }: { isSearch: boolean }): JSX.Element {
  if (isSearch) return <Empty title="No message matches the search." />;
  return (
    <Empty title="No chat of this machine has received a message.">
      <p>
        Chats write to each other with the tool <code>shim_send</code>; in a terminal: <code>shim send</code>.
      </p>
    </Empty>
  );
}

function MessageCard({ message, at }: { message: ReceivedMessage; at: number }): JSX.Element {
  const { kind, from, topic, to, toTitle, text, ageMs, isDelivered } = message;
  return (
    <li class="card">
      <p class="line">
        <strong>{plain(from ?? words(kind))}</strong>
        <span>
          to <a href={linkTo("chat", to)}>{plain(toTitle ?? to.slice(0, 8))}</a>
        </span>
        {topic !== null && <span class="muted">{plain(topic)}</span>}
        <Age ms={ageMs} at={at} />
        <Badge kind={isDelivered ? "done" : "waits"}>{isDelivered ? "shown to it" : "not shown yet"}</Badge>
      </p>
      <p class="text">{plain(text)}</p>
    </li>
  );
}

import type { JSX } from "preact";
import type { ReceivedMessage } from "../../contract/machine/page.ts";
import { shortIds } from "../../contract/short-id.ts";
import { plain, words } from "../format.ts";
import { linkTo } from "../page-state.ts";
import { Age, Badge, Empty, First, Found, Head, Read } from "../parts/pieces.tsx";

/** Notifications of this machine's chats; on the edge, messages of all chats. */
export function MessagesView(): JSX.Element {
  return (
    <>
      <Head title="Messages" search="Search messages" />
      <Read name="page.messages" input={{}}>
        {({ messages }, at) => (
          <Found
            items={messages}
            textsOf={({ text, from, toTitle, topic }) => [text, from, toTitle, topic]}
            none={
              <Empty title="No chat has received a message yet.">
                Chats write to each other with the tool <code>shim_send</code>; in a terminal:{" "}
                <code>shim team send</code>.
              </Empty>
            }
          >
            {(fitting) => <First items={fitting}>{(shown) => <Cards messages={shown} at={at} />}</First>}
          </Found>
        )}
      </Read>
    </>
  );
}

function Cards({ messages, at }: { messages: readonly ReceivedMessage[]; at: number }): JSX.Element {
  const short = shortIds(messages.flatMap(({ to }) => to ?? []));
  return (
    <ul class="cards">
      {messages.map((one) => (
        <MessageCard key={one.id} message={one} short={short} at={at} />
      ))}
    </ul>
  );
}

interface CardProps {
  readonly message: ReceivedMessage;
  readonly short: (chat: string) => string;
  readonly at: number;
}

function MessageCard({ message, short, at }: CardProps): JSX.Element {
  const { kind, from, topic, to, toTitle, text, ageMs, isDelivered, status } = message;
  return (
    <li class="card">
      <p class="line">
        <strong>{plain(from ?? words(kind))}</strong>
        <span>
          to {to === null ? "all who listen" : <a href={linkTo("chat", to)}>{plain(toTitle ?? short(to))}</a>}
        </span>
        {topic !== null && <span class="muted">{plain(topic)}</span>}
        <Age ms={ageMs} at={at} />
        <Badge kind={isDelivered ? "done" : "waits"}>{status}</Badge>
      </p>
      <p class="text">{plain(text)}</p>
    </li>
  );
}

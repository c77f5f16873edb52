import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Decision, OpenRequest } from "../../contract/machine/requests.ts";
import { plain } from "../format.ts";
import { backend, call, notice, revision } from "../page-state.ts";
import { Need } from "./need.tsx";
import { Age, Left, Trouble } from "./pieces.tsx";

/** A permission that a chat asks for: what it would do, and the two answers. */
export function NeedOfRequest({ request, at }: { request: OpenRequest; at: number }): JSX.Element {
  const { session, title, tool, text, client, askedAgeMs, endsInMs } = request;
  return (
    <Need
      tone="waits"
      id={session}
      title={title}
      action={<Answers request={request} />}
      detail={
        <pre class="asked" tabIndex={0}>
          {plain(text)}
        </pre>
      }
    >
      <span class="state">{`asks to use ${plain(tool)}`}</span>
      {" · "}
      <Age ms={askedAgeMs} at={at} suffix="" />
      {` · ${plain(client)}`}
      {request.canAnswer && (
        <>
          {" · here for "}
          <Left ms={endsInMs} at={at} />
        </>
      )}
    </Need>
  );
}

function Answers({ request }: { request: OpenRequest }): JSX.Element {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isSent, setSent] = useState(false);
  if (!request.canAnswer) return <span class="muted">{plain(request.reason ?? "Answer it where it runs.")}</span>;
  if (backend.value?.canAnswer !== true) return <span class="muted">Answer it where it runs.</span>;
  const answer = async (decision: Decision): Promise<void> => {
    setSent(true);
    const given = await call("requests.answer", { request: request.id, decision }, crypto.randomUUID());
    setSent(false);
    setTrouble(given.ok ? null : given.error.message);
    if (given.ok) notice.value = decision === "allow" ? "Allowed." : "Denied.";
    revision.value++;
  };
  const name = plain(`${request.tool} of ${request.title ?? "untitled"}`);
  return (
    <>
      <button type="button" disabled={isSent} onClick={() => void answer("deny")} aria-label={`Deny ${name}`}>
        Deny
      </button>
      <button
        type="button"
        class="main"
        disabled={isSent}
        onClick={() => void answer("allow")}
        aria-label={`Allow ${name}`}
      >
        Allow
      </button>
      <Trouble text={trouble} />
    </>
  );
}

const comes = {
  stop: "The chat reads it when its turn ends.",
  prompt: "The chat reads it with its next prompt.",
} as const;

/** A message of the user to a chat. */
export function WriteToChat({ session }: { session: string }): JSX.Element {
  const [text, setText] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [sent, setSent] = useState("");
  const send = async (): Promise<void> => {
    const answer = await call("requests.message", { session, text }, crypto.randomUUID());
    setTrouble(answer.ok ? null : answer.error.message);
    if (!answer.ok) return;
    setText("");
    setSent(comes[answer.value.comes]);
  };
  return (
    <form
      class="write"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label>
        Write to this chat
        <textarea
          rows={2}
          required
          maxLength={10_000}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <button type="submit" children="Send" />
      <Trouble text={trouble} />
      <p class="muted" role="status" children={sent} />
    </form>
  );
}

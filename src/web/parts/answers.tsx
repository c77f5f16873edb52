import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Decision, GivenAnswer, OpenRequest } from "../../contract/machine/requests.ts";
import { maxUserWordsChars } from "../../contract/user-words.ts";
import { count, plain } from "../format.ts";
import { ageTick, announce, backend, call, revision } from "../page-state.ts";
import { Need } from "./need.tsx";
import { Age, Left, Trouble } from "./pieces.tsx";

/** All of a folded request, and the sign that it was shown. */
interface Whole {
  readonly text: string;
  readonly shown: string;
}

/** A permission that a chat asks for: what it would do, and the two answers. */
export function NeedOfRequest({ request, at }: { request: OpenRequest; at: number }): JSX.Element {
  const { id, session, title, tool, text, folded, client, askedAgeMs } = request;
  const [whole, setWhole] = useState<Whole | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const unfold = async (): Promise<void> => {
    const given = await call("requests.show", { request: id });
    if (given.ok) setWhole(given.value);
    setTrouble(given.ok ? null : given.error.message);
  };
  return (
    <Need
      tone="waits"
      id={session}
      title={title}
      action={<Answers request={request} at={at} whole={whole} />}
      detail={
        <>
          <pre class="asked" children={plain(whole?.text ?? text)} />
          {folded !== null && whole === null && (
            <button type="button" onClick={() => void unfold()}>
              {`Show all of it: ${count(folded.chars, "more character")}`}
            </button>
          )}
          <Trouble text={trouble} />
        </>
      }
    >
      <span class="state">{`asks to use ${plain(tool)}`}</span>
      {" · "}
      <Age ms={askedAgeMs} at={at} suffix="" />
      {` · ${plain(client)}`}
    </Need>
  );
}

interface AnswersProps {
  readonly request: OpenRequest;
  readonly at: number;
  readonly whole: Whole | null;
}

/** The two answers: a folded request is allowed once it was shown. */
function Answers({ request, at, whole }: AnswersProps): JSX.Element {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isSent, setSent] = useState(false);
  if (!request.canAnswer) return <span class="muted">{plain(request.reason ?? "Answer it where it runs.")}</span>;
  if (backend.value?.canAnswer !== true) return <span class="muted">Answer it where it runs.</span>;
  const answer = async (decision: Decision): Promise<void> => {
    setSent(true);
    const shown = decision === "allow" && whole !== null ? { shown: whole.shown } : {};
    const given = await call("requests.answer", { request: request.id, decision, ...shown }, crypto.randomUUID());
    setSent(false);
    // A request that something else has ended is shown no more.
    const isOver = !given.ok && given.error.code === "ended";
    if (isOver) announce(given.error.message);
    setTrouble(given.ok || isOver ? null : given.error.message);
    revision.value++;
  };
  const name = plain(`${request.tool} of ${request.title ?? "untitled"}`);
  return (
    <>
      <span class="muted">
        {"here for "}
        <Left ms={request.endsInMs} at={at} />
      </span>
      <button type="button" disabled={isSent} onClick={() => void answer("deny")} aria-label={`Deny ${name}`}>
        Deny
      </button>
      {(request.folded === null || whole !== null) && (
        <button
          type="button"
          class="main"
          disabled={isSent}
          onClick={() => void answer("allow")}
          aria-label={`Allow ${name}`}
        >
          Allow
        </button>
      )}
      <Trouble text={trouble} />
    </>
  );
}

/** An answer that the chat has taken needs no line for long. */
const takenMs = 60_000;

/** Outcomes of the answers from here and from elsewhere. */
export function GivenAnswers({ answers, at }: { answers: readonly GivenAnswer[]; at: number }): JSX.Element {
  void ageTick.value;
  const passed = performance.now() - at;
  const shown = answers.filter(({ outcome, ageMs }) => outcome !== "taken" || ageMs + passed < takenMs);
  return (
    <>
      {shown.map(({ request, tool, title, text, by, outcome, ageMs }) => (
        <p key={request} role="status" class={outcome === "late" || outcome === "unknown" ? "trouble warn" : "muted"}>
          {`${plain(tool)} of ${plain(title ?? "untitled")}: ${text}. ${plain(by)}, `}
          <Age ms={ageMs} at={at} />
        </p>
      ))}
    </>
  );
}

const comes = {
  stop: "The chat reads it when its turn ends.",
  prompt: "The chat reads it with its next prompt.",
} as const;

/** A message of the user to a chat. @param refusal why none can be sent; null: one can */
export function WriteToChat({ session, refusal }: { session: string; refusal: string | null }): JSX.Element {
  const [text, setText] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [sent, setSent] = useState("");
  const send = async (): Promise<void> => {
    const answer = await call("requests.message", { session, text }, crypto.randomUUID());
    setTrouble(answer.ok ? null : answer.error.message);
    setSent("");
    if (!answer.ok) return;
    setText("");
    setSent(comes[answer.value.comes]);
  };
  if (refusal !== null) return <p class="muted">{`No words can be sent from here: ${plain(refusal)}`}</p>;
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
          maxLength={maxUserWordsChars}
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

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Decision, GivenAnswer, OpenRequest, QuestionAnswer } from "../../contract/machine/requests.ts";
import { maxMessageChars } from "../../contract/user-words.ts";
import { count, plain } from "../format.ts";
import { ageTick, announce, backend, call, revision } from "../page-state.ts";
import { Acts } from "./live.tsx";
import { Questions } from "./questions.tsx";
import { Need } from "./need.tsx";
import { Age, Left, Trouble } from "./pieces.tsx";

/** Words for the need of a chat. */
const asks: Readonly<Record<OpenRequest["kind"], (tool: string) => string>> = {
  permission: (tool) => `asks to use ${tool}`,
  question: () => "asks a question",
  plan: () => "asks whether to go on with its plan",
};

/** All of a folded request, and the sign that it was shown. */
interface Whole {
  readonly text: string;
  readonly shown: string;
}

/** A request of a chat: its effect or its choices, and the answers that its client takes. */
export function NeedOfRequest({ request, at }: { request: OpenRequest; at: number }): JSX.Element {
  const { id, session, title, tool, kind, text, folded, client, askedAgeMs, decisions } = request;
  const [chosen, setChosen] = useState<readonly QuestionAnswer[]>([]);
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
      action={<Answers request={request} at={at} whole={whole} chosen={chosen} />}
      detail={
        <>
          {decisions.includes("answer") ? (
            <Questions request={request} onChange={setChosen} />
          ) : (
            <pre class="asked" children={plain(whole?.text ?? text)} />
          )}
          {folded !== null && whole === null && (
            <button type="button" onClick={() => void unfold()}>
              {`Show all of it: ${count(folded.chars, "more character")}`}
            </button>
          )}
          <Trouble text={trouble} />
        </>
      }
    >
      <span class="state">{asks[kind](plain(tool))}</span>
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
  /** Answers to all questions; none: one is open. */
  readonly chosen: readonly QuestionAnswer[];
}

/** Words on the buttons. */
const verbs: Readonly<Record<Decision, string>> = {
  allow: "Allow",
  session: "Allow for this session",
  answer: "Answer",
  deny: "Deny",
};

/** The answers that the client takes: a folded request is allowed once it was shown. */
function Answers({ request, at, whole, chosen }: AnswersProps): JSX.Element {
  const { tool, title, folded, grant, wider, decisions, reason, endsInMs } = request;
  const [trouble, setTrouble] = useState<string | null>(null);
  const [message, setMessage] = useState("");
  const [isSent, setSent] = useState(false);
  if (reason !== null) return <span class="muted">{plain(reason)}</span>;
  if (backend.value?.canAnswer !== true) return <span class="muted">Answer it where it runs.</span>;
  const answer = async (decision: Decision): Promise<void> => {
    setSent(true);
    const words = decision === "deny" && message.trim() !== "" ? { message } : {};
    const shown = decision !== "deny" && whole !== null ? { shown: whole.shown } : {};
    const answers = decision === "answer" ? { answers: [...chosen] } : {};
    const input = { request: request.id, decision, ...words, ...shown, ...answers };
    const given = await call("requests.answer", input, crypto.randomUUID());
    setSent(false);
    // A request that something else has ended is shown no more.
    const isOver = !given.ok && given.error.code === "ended";
    if (isOver) announce(given.error.message);
    setTrouble(given.ok || isOver ? null : given.error.message);
    revision.value++;
  };
  const isShown = folded === null || whole !== null;
  const offered = decisions.filter((one) => isShown || one === "answer" || one === "deny");
  const name = plain(`${tool} of ${title ?? "untitled"}`);
  return (
    <Acts session={request.session}>
      <span class="muted">
        {"here for "}
        <Left ms={endsInMs} at={at} />
      </span>
      {decisions.includes("deny") && (
        <input
          type="text"
          aria-label={`Why not: ${name}`}
          placeholder="why not, or what instead"
          maxLength={maxMessageChars}
          value={message}
          onInput={({ currentTarget }) => setMessage(currentTarget.value)}
        />
      )}
      {offered.toReversed().map((decision) => (
        <button
          key={decision}
          type="button"
          class={decision === "allow" || decision === "answer" ? "main" : undefined}
          disabled={isSent || (decision === "answer" && chosen.length === 0)}
          onClick={() => void answer(decision)}
          aria-label={`${verbs[decision]} ${name}`}
          children={verbs[decision]}
        />
      ))}
      {grant !== null && <span class="muted">{`For this session: ${plain(grant)}`}</span>}
      {wider !== null && <span class="muted" children={wider} />}
      <Trouble text={trouble} />
    </Acts>
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

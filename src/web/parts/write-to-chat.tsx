import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { maxUserWordsChars } from "../../contract/user-words.ts";
import { plain } from "../format.ts";
import { call } from "../page-state.ts";
import { Acts } from "./live.tsx";
import { Trouble } from "./pieces.tsx";

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
      <Acts session={session}>
        <button type="submit" children="Send" />
      </Acts>
      <Trouble text={trouble} />
      <p class="muted" role="status" children={sent} />
    </form>
  );
}

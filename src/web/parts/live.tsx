import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { maxUserWordsChars } from "../../contract/user-words.ts";
import { plain, sentence, timeText } from "../format.ts";
import { actTrouble, link } from "../page-state.ts";
import { Trouble } from "./pieces.tsx";

/** Above every view: that what is shown may be old, since when and why. */
export function NotLive(): JSX.Element | null {
  const { value } = link;
  if (value.isLive || value.why === "connecting") return null;
  const since = value.since === null ? "Not live" : `Not live since ${timeText(value.since)}`;
  return (
    <p class="trouble warn" role="status">
      {`${since}: ${plain(value.why)}. What is shown is from before; it is read again as soon as the connection is back.`}
    </p>
  );
}

/** Controls of actions: off, with the reason, while those are impossible. @param session theirs */
export function Acts({ session, children }: { session?: string; children: ComponentChildren }): JSX.Element {
  const trouble = actTrouble(session);
  return (
    <fieldset class="acts" disabled={trouble !== null}>
      {children}
      {trouble !== null && <span class="muted" children={plain(sentence(trouble))} />}
    </fieldset>
  );
}

interface WordsProps {
  readonly label: string;
  readonly verb: string;
  /** Session or project whose machine gets the words. */
  readonly target: string;
  /** @returns why they were not taken; null: they were */
  readonly send: (text: string) => Promise<string | null>;
}

/** Words of the user, which stay until they are taken. Two parts beyond the first load use it. */
export function WordsForm({ label, verb, target, send }: WordsProps): JSX.Element {
  const [text, setText] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [isSent, setSent] = useState(false);
  const submit = async (): Promise<void> => {
    setSent(true);
    const refusal = await send(text);
    setSent(false);
    setTrouble(refusal);
    if (refusal === null) setText("");
  };
  return (
    <form
      class="write"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <label>
        {label}
        <textarea
          rows={2}
          required
          maxLength={maxUserWordsChars}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <Acts session={target}>
        <button type="submit" disabled={isSent} children={verb} />
      </Acts>
      <Trouble text={trouble} />
    </form>
  );
}

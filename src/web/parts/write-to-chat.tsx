import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { plain } from "../format.ts";
import { call } from "../page-state.ts";
import { WordsForm } from "./live.tsx";

const comes = {
  now: "Its client has it, as the chat's prompt.",
  stop: "The chat reads it when its turn ends.",
  prompt: "The chat reads it with its next prompt.",
} as const;

/** A message of the user to a chat. @param refusal why none can be sent; null: one can */
export function WriteToChat({ session, refusal }: { session: string; refusal: string | null }): JSX.Element {
  const [sent, setSent] = useState("");
  const send = async (text: string): Promise<string | null> => {
    const answer = await call("requests.message", { session, text }, crypto.randomUUID());
    setSent(answer.ok ? comes[answer.value.comes] : "");
    return answer.ok ? null : answer.error.message;
  };
  if (refusal !== null) return <p class="muted">{`No words can be sent from here: ${plain(refusal)}`}</p>;
  return (
    <>
      <WordsForm label="Write to this chat" verb="Send" target={session} send={send} />
      <p class="muted" role="status" children={sent} />
    </>
  );
}

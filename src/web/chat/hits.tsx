import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { count, plain } from "../format.ts";
import { Age, Empty, Read } from "../parts/pieces.tsx";

interface HitsProps {
  readonly session: string;
  readonly words: string;
  readonly onChoose: (row: string) => void;
}

/** A person types several letters meanwhile. */
const restMs = 300;

const speakers = { prompt: "You", answer: "Chat", summary: "Summary", call: "Call", note: "Note" } as const;

/** Results of a search over the whole chat, which its machine makes, not this page. */
export function Hits({ session, words, onChoose }: HitsProps): JSX.Element {
  const [asked, setAsked] = useState(words);
  useEffect(() => {
    const rest = setTimeout(() => setAsked(words), restMs);
    return () => clearTimeout(rest);
  }, [words]);
  return (
    <section class="hits" aria-label="Found in this chat">
      <Read name="conversation.search" input={{ session, words: asked }} isSettled>
        {({ found, hits }, at) =>
          hits.length === 0 ? (
            <Empty title="Nothing in this chat has all of these words." />
          ) : (
            <>
              <p class="muted" role="status">
                {found > hits.length ? `The newest ${hits.length} of ${count(found, "place")}` : count(found, "place")}
              </p>
              <ol class="rows">
                {hits.map(({ id, kind, excerpt, ageMs }) => (
                  <li key={id}>
                    <button type="button" onClick={() => onChoose(id)}>
                      <span class="muted">{speakers[kind]}</span> {plain(excerpt)}{" "}
                      {ageMs !== null && <Age ms={ageMs} at={at} />}
                    </button>
                  </li>
                ))}
              </ol>
            </>
          )
        }
      </Read>
    </section>
  );
}

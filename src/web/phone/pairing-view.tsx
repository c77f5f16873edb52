import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { readPairingFragment } from "../../pairing/pairing.ts";
import { backend } from "../page-state.ts";
import { awaitGrant, introduce, numberOf, phoneName } from "./pair.ts";
import { PhoneBackend } from "./phone-backend.ts";

/** The phone has opened a link: it introduces itself, and waits for the user at the machine. */
export function PairingView({ id: fragment }: { readonly id: string }): JSX.Element {
  const [number, setNumber] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const name = phoneName(navigator.userAgent);
  useEffect(() => {
    const end = new AbortController();
    void pair(fragment, name, setNumber, end.signal).then((problem) => end.signal.aborted || setTrouble(problem));
    return () => end.abort();
  }, [fragment]);
  return (
    <main id="main" class="narrow">
      <h1 tabIndex={-1}>Pair this phone</h1>
      {trouble !== null ? (
        <>
          <p class="trouble" role="alert" children={trouble} />
          <p>
            Run <code>shim pair</code> on your machine again, and scan the new code.
          </p>
        </>
      ) : number === null ? (
        <p role="status">Reaching your machine …</p>
      ) : (
        <>
          <p>Your terminal asks about this number. Answer “y” there if it is the same.</p>
          <p class="number" role="status" children={number} />
          <p class="muted">{`This phone is called “${name}” there.`}</p>
        </>
      )}
    </main>
  );
}

/** @returns why it is not paired; null: it is */
async function pair(
  fragment: string,
  name: string,
  onNumber: (number: string) => void,
  end: AbortSignal,
): Promise<string | null> {
  const link = readPairingFragment(fragment);
  if (link === null) return "This link is not complete.";
  const begun = await introduce(link, name);
  if (!begun.ok) return begun.error.message;
  onNumber(await numberOf(begun.value));
  const granted = await awaitGrant(begun.value, end);
  if (!granted.ok) return granted.error.message;
  backend.value = new PhoneBackend(granted.value);
  return null;
}

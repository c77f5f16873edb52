import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { requestLink } from "../local-backend.ts";
import { Trouble } from "../parts/pieces.tsx";

/** A page without a secret of this process: its link was used, or the process is a new one. */
export function SignInHere({ trouble }: { trouble: string | null }): JSX.Element {
  useEffect(requestLink, []);
  return (
    <main id="main" class="narrow">
      <h1 tabIndex={-1}>SHIM</h1>
      <Trouble text={trouble} />
      <p>
        This page is not signed in. The terminal where <code>shim up --web</code> runs shows a link: open the newest one
        within a minute. It works once.
      </p>
      <p class="muted">
        Nothing runs there any more? Start <code>shim up --web</code> again.
      </p>
    </main>
  );
}

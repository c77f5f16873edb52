import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { EdgeBackend, workspaceOf } from "../edge-backend.ts";
import { backend } from "../page-state.ts";
import { Trouble } from "../parts/pieces.tsx";

/** The Worker: a token stays in the memory of this page, so a reload asks for it again. */
export function SignInToEdge(): JSX.Element {
  const [trouble, setTrouble] = useState<string | null>(null);
  const signIn = async (token: string): Promise<void> => {
    // The app of a home screen cannot be opened by a link, and shares nothing with the browser.
    const link = /#pair=.*/.exec(token);
    if (link) {
      location.hash = link[0];
      return location.reload();
    }
    const workspace = workspaceOf(token);
    if (workspace === null) return setTrouble("This is no access token of SHIM.");
    const edge = new EdgeBackend(workspace, token);
    const answer = await edge.call("health", {});
    if (answer.ok) backend.value = edge;
    else setTrouble(answer.error.message);
  };
  return (
    <main id="main" class="narrow">
      <h1 tabIndex={-1}>SHIM</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const given = new FormData(event.currentTarget).get("token");
          if (typeof given === "string") void signIn(given.trim());
        }}
      >
        <label class="search">
          Access token, or the link of shim pair
          <input name="token" type="password" autocomplete="current-password" required />
        </label>
        <Trouble text={trouble} />
        <button type="submit" class="main" children="Sign in" />
      </form>
      <p class="muted">
        A token for looking only, made on a machine that has the workspace's admin token:{" "}
        <code>shim workspace token create --machine browser --scope observe --ttl 12h</code>
      </p>
    </main>
  );
}

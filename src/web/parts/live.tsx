import type { ComponentChildren, JSX } from "preact";
import { plain, sentence, timeText } from "../format.ts";
import { actTrouble, link } from "../page-state.ts";

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

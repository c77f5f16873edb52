import type { ComponentChildren, JSX } from "preact";
import { stateText } from "../../contract/chat-state.ts";
import type { FleetRow } from "../../contract/machine/page.ts";
import { plain, shortPath } from "../format.ts";
import { backend, linkTo } from "../page-state.ts";
import { Age, CopyButton } from "./pieces.tsx";

interface NeedProps {
  /** Colour of its edge. */
  readonly tone: string;
  /** Id of the chat. */
  readonly id: string;
  readonly title: string | null;
  /** Why it needs its user. */
  readonly children: ComponentChildren;
  /** Below: what it would do. */
  readonly detail?: ComponentChildren;
  /** The one thing to do, or the answers to choose from. */
  readonly action: ComponentChildren;
}

/** Something that waits for the user: what, why, and what to do. */
export function Need({ tone, id, title, children, detail, action }: NeedProps): JSX.Element {
  return (
    <li class={tone}>
      <div>
        <a href={linkTo("chat", id)}>{plain(title ?? "untitled")}</a>
        <p class="meta">{children}</p>
        {detail}
      </div>
      <div class="action">{action}</div>
    </li>
  );
}

export function NeedOfChat({ row, at }: { row: FleetRow; at: number }): JSX.Element {
  const from = [row.project && shortPath(row.project), row.machine, row.client];
  return (
    <Need tone={row.state} id={row.id} title={row.title} action={<ActionOf row={row} />}>
      <span class="state">{plain(stateText(row))}</span>
      {" · "}
      {row.waitingMs === null ? <Age ms={row.seenAgeMs} at={at} /> : <Age ms={row.waitingMs} at={at} suffix="" />}
      {` · ${plain(from.filter((part) => part).join(" · "))}`}
    </Need>
  );
}

function ActionOf({ row }: { row: FleetRow }): JSX.Element {
  // A phone has no terminal: what it can do is read.
  return row.resumeCommand === null || backend.value?.kind === "phone" ? (
    <a
      class="button"
      href={linkTo("chat", row.id)}
      aria-label={`Open ${plain(row.title ?? "untitled")}`}
      children="Open"
    />
  ) : (
    <CopyButton command={row.resumeCommand} label="Copy resume command" />
  );
}

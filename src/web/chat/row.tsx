import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CallRow, ConversationRow } from "../../contract/machine/conversation.ts";
import { count, plain, timeText } from "../format.ts";
import { backend, useCall } from "../page-state.ts";
import { Command, Read, Shown } from "../parts/pieces.tsx";
import { Diff } from "../text/diff.tsx";
import { Markdown } from "../text/markdown.tsx";
import type { ShownRow } from "./chat-window.ts";
import { Pictures } from "./pictures.tsx";
import type { RowOwner } from "./row-owner.ts";

interface RowProps extends ShownRow {
  readonly owner: RowOwner;
  /** A search has led to it. */
  readonly isFound: boolean;
}

export function Row({ row, at, owner, isFound }: RowProps): JSX.Element {
  return (
    <li id={row.id} class={`${row.kind} ${isFound ? "found" : ""}`} tabIndex={isFound ? -1 : undefined}>
      {row.kind === "call" ? <Call row={row} owner={owner} /> : <Said row={row} at={at} owner={owner} />}
    </li>
  );
}

type SaidRow = Exclude<ConversationRow, CallRow>;

function Said({ row, at, owner }: { row: SaidRow; at: number; owner: RowOwner }): JSX.Element {
  if (row.kind === "note") return <p class={row.isBad ? "note bad" : "note"}>{plain(row.text)}</p>;
  const number = row.kind === "prompt" ? row.number : null;
  return (
    <>
      <p class="by">
        <span>{speakerOf(row)}</span> <Clock row={row} at={at} />
      </p>
      <Markdown text={row.text} />
      <Pictures row={row} owner={owner} />
      {number !== null && owner.forkCommand !== null && (
        <details class="fork">
          <summary>Fork from here</summary>
          <Command purpose="For its files and its brief of then" command={`${owner.forkCommand} ${number}`} />
        </details>
      )}
    </>
  );
}

function speakerOf(row: Exclude<SaidRow, { readonly kind: "note" }>): string {
  if (row.kind === "answer") return "Chat";
  if (row.kind === "summary") return "What the client kept of the chat so far";
  const from = row.from === null ? "You" : `You, from ${plain(row.from)}`;
  return row.isWaiting ? `${from}: the chat has not read it yet` : from;
}

/** When it was said, by the clock of this browser. */
function Clock({ row: { ageMs }, at }: { row: ConversationRow; at: number }): JSX.Element | null {
  if (ageMs === null) return null;
  const time = Date.now() - (performance.now() - at) - ageMs;
  return <time class="age" dateTime={new Date(time).toISOString()} children={timeText(time)} />;
}

const outcomes = { running: "runs", done: "", failed: "failed", unknown: "no result is known" } as const;

function Call({ row, owner }: { row: CallRow; owner: RowOwner }): JSX.Element {
  const [isOpen, setIsOpen] = useState(false);
  const { tool, subject, outcome, result, lines } = row;
  return (
    <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>
        <span class={`state ${outcome}`}>{plain(tool)}</span> <code>{plain(subject)}</code>{" "}
        {lines && <LineCounts lines={lines} />}
        <span class="result">{[outcomes[outcome], plain(result)].filter((part) => part !== "").join(": ")}</span>
      </summary>
      {isOpen && <Opened row={row} owner={owner} />}
    </details>
  );
}

function LineCounts({ lines: { added, removed } }: { lines: NonNullable<CallRow["lines"]> }): JSX.Element {
  return (
    <span class="line-counts">
      <span class="hidden">{`${count(added, "line")} added, ${removed} removed`}</span>
      <ins aria-hidden="true">{`+${added}`}</ins> <del aria-hidden="true">{`−${removed}`}</del>
    </span>
  );
}

/** Its input and its result, which are read when it is opened. */
function Opened({ row, owner: { session, agent, forkCommand } }: { row: CallRow; owner: RowOwner }): JSX.Element {
  const inAgent = agent === undefined ? {} : { agent };
  const isSettled = row.outcome !== "running";
  return (
    <div class="opened">
      <Read name="conversation.call" input={{ session, ...inAgent, row: row.id }} isSettled={isSettled}>
        {({ input, edits, moreEdits, output }) => (
          <>
            {input !== "" && <Text label="Input" text={input} />}
            {edits.map((edit, at) => (
              <Diff key={at} {...edit} />
            ))}
            {moreEdits > 0 && <p class="muted">{`and ${count(moreEdits, "file")} more`}</p>}
            {row.isAgent && agent === undefined && (
              <Agent owner={{ session, agent: row.id, forkCommand }} isSettled={isSettled} />
            )}
            {output !== "" && <Text label="Output" text={output} />}
          </>
        )}
      </Read>
      <Pictures row={row} owner={{ session, ...inAgent, forkCommand }} />
    </div>
  );
}

interface AgentProps {
  readonly owner: RowOwner & { readonly agent: string };
  /** No change concerns it: the sub-agent has ended. */
  readonly isSettled: boolean;
}

/** The words and calls of a sub-agent, inside the call that started it. */
function Agent({ owner, isSettled }: AgentProps): JSX.Element {
  const { session, agent } = owner;
  const loaded = useCall("conversation.read", { session, agent, chars: 150_000 }, isSettled);
  return (
    <Shown loaded={loaded}>
      {({ rows, hasEarlier }, at) => (
        <>
          {hasEarlier && <p class="muted">Its newest rows:</p>}
          {rows.length > 0 && (
            <ol class="talk" aria-label="Its sub-agent">
              {rows.map((row) => (
                <Row key={row.id} row={row} at={at} owner={owner} isFound={false} />
              ))}
            </ol>
          )}
        </>
      )}
    </Shown>
  );
}

function Text({ label, text }: { label: string; text: string }): JSX.Element {
  return <pre class="code" tabIndex={0} role="region" aria-label={label} children={plain(text)} />;
}

/** On a phone no command can be typed. */
export function forkCommandFor(command: string): string | null {
  return backend.value?.kind === "machine" ? command : null;
}

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Refused } from "../backend.ts";
import { plain } from "../format.ts";
import { revision } from "../page-state.ts";
import { Empty, Trouble } from "../parts/pieces.tsx";
import type { ChatWindow } from "./chat-window.ts";
import { Reading } from "./reading.ts";
import type { RowOwner } from "./row-owner.ts";
import { Row } from "./row.tsx";

/** The part before or after is read so many px before its place is seen. */
const aheadPx = 1_500;
/** So near to its end the conversation counts as read to the end. */
const nearEndPx = 60;

interface ConversationProps {
  readonly owner: RowOwner;
  /** Row that a search has led to; null: the end is shown. */
  readonly found: string | null;
  readonly onLeaveFound: () => void;
}

export function Conversation({ owner, found, onLeaveFound }: ConversationProps): JSX.Element {
  const [{ window, error }, setShown] = useState<{ window: ChatWindow | null; error: Refused | null }>({
    window: null,
    error: null,
  });
  const reading = useRef<Reading | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const follows = useFollowing(frame, window, found);
  useEffect(() => {
    let isOver = false;
    const one = new Reading(owner.session, (next, trouble) => isOver || setShown({ window: next, error: trouble }));
    reading.current = one;
    void one.open(found).then(() => (found === null ? undefined : one.earlier()));
    return () => {
      isOver = true;
    };
  }, [owner.session, found]);
  const changes = revision.value;
  const read = useRef(changes);
  useEffect(() => {
    if (read.current !== changes) void reading.current?.later(true);
    read.current = changes;
  }, [changes]);
  const onScroll = (): void => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = frame.current ?? {};
    follows.note();
    if (scrollTop < aheadPx) void reading.current?.earlier();
    if (scrollHeight - scrollTop - clientHeight < aheadPx) void reading.current?.later(false);
  };
  // A part may be shorter than the frame.
  useEffect(onScroll, [window]);
  const toEnd = (): void => {
    follows.start();
    if (found !== null) onLeaveFound();
    else if (window?.hasLater === true) void reading.current?.open(null);
  };
  return (
    <div class="conversation">
      <div class="frame" ref={frame} onScroll={onScroll} tabIndex={0} role="region" aria-label="Conversation">
        <Trouble text={error && plain(error.message)} />
        {window === null ? (
          error === null && <p class="muted">Reading …</p>
        ) : (
          <Rows window={window} owner={owner} found={found} />
        )}
      </div>
      {window !== null && (window.hasLater || !follows.isFollowing) && (
        <button type="button" class="to-end" onClick={toEnd} children="To the end ↓" />
      )}
    </div>
  );
}

function Rows({ window, owner, found }: { window: ChatWindow; owner: RowOwner; found: string | null }): JSX.Element {
  const { rows, hasEarlier, isPartial } = window;
  if (rows.length === 0) return <Empty title="Nothing has been said yet." />;
  return (
    <>
      {hasEarlier && <p class="muted">Reading what is before …</p>}
      {isPartial && !hasEarlier && (
        <p class="muted">Its client has no transcript of it that can be read: of calls SHIM has the beginnings.</p>
      )}
      <ol class="talk">
        {rows.map(({ row, at }) => (
          <Row key={row.id} row={row} at={at} owner={owner} isFound={row.id === found} />
        ))}
      </ol>
    </>
  );
}

interface Following {
  readonly isFollowing: boolean;
  /** After the reader has scrolled. */
  note(): void;
  /** Scrolls to the end, and stays there. */
  start(): void;
}

/** Keeps the end in sight while the reader is there, else the rows that are in sight. */
function useFollowing(
  frame: { current: HTMLDivElement | null },
  window: ChatWindow | null,
  found: string | null,
): Following {
  const [isFollowing, setIsFollowing] = useState(true);
  const anchor = useRef<{ readonly id: string; readonly top: number } | null>(null);
  const hasLed = useRef<string | null>(null);
  const toEnd = (): void => frame.current?.scrollTo({ top: frame.current.scrollHeight });
  const note = (): void => {
    const { current: box } = frame;
    if (!box) return;
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < nearEndPx;
    setIsFollowing(isAtEnd && window?.hasLater !== true);
    const { left, top, width } = box.getBoundingClientRect();
    const first = document.elementFromPoint(left + width / 2, top + 1)?.closest(".frame > .talk > li");
    anchor.current = first ? { id: first.id, top: first.getBoundingClientRect().top } : null;
  };
  useLayoutEffect(() => {
    const led = found !== null && hasLed.current !== found ? document.getElementById(found) : null;
    if (led) {
      hasLed.current = found;
      led.scrollIntoView({ block: "center" });
      led.focus({ preventScroll: true });
    } else if (isFollowing && found === null) toEnd();
    else {
      const { id = "", top = 0 } = anchor.current ?? {};
      const row = document.getElementById(id);
      if (row && frame.current) frame.current.scrollTop += row.getBoundingClientRect().top - top;
    }
    note();
  }, [window]);
  // Colours and pictures come later, and a phone's keyboard makes the frame lower.
  useEffect(() => {
    const { current: box } = frame;
    if (!box || !isFollowing) return;
    const observer = new ResizeObserver(toEnd);
    observer.observe(box);
    for (const child of box.children) observer.observe(child);
    return () => observer.disconnect();
  }, [isFollowing, window === null]);
  return {
    isFollowing,
    note,
    start() {
      setIsFollowing(true);
      toEnd();
    },
  };
}

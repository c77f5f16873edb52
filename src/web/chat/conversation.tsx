import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { CallInput, Refused } from "../backend.ts";
import { plain } from "../format.ts";
import { call, revision } from "../page-state.ts";
import { Empty, Trouble } from "../parts/pieces.tsx";
import { type ChatWindow, nextFrom, opened, withEarlier, withLater } from "./chat-window.ts";
import { firstChars } from "./first-reads.ts";
import type { RowOwner } from "./row-owner.ts";
import { Row } from "./row.tsx";

/** Characters of each part but the first. */
const furtherChars = 30_000;
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

type Show = (window: ChatWindow | null, error: Refused | null) => void;

/** Loads the parts of a conversation one after the other, and what is new as it comes. */
class Reading {
  readonly #session: string;
  readonly #show: Show;
  #window: ChatWindow | null = null;
  /** The row that was asked for first. */
  #asked: string | null = null;
  #isBusy = false;
  #isDue = false;

  constructor(session: string, show: Show) {
    this.#session = session;
    this.#show = show;
  }

  /** @param row null: the end */
  open(row: string | null): Promise<void> {
    this.#asked = row;
    const from = row === null ? {} : { from: row };
    return this.#read({ ...from, chars: firstChars }, (page, at) => opened(page, at));
  }

  async earlier(): Promise<void> {
    const [first] = this.#window?.rows ?? [];
    if (this.#window?.hasEarlier !== true || !first) return;
    await this.#read({ before: first.row.id, chars: furtherChars }, (page, at, window) =>
      withEarlier(window ?? opened(page, at), page, at),
    );
  }

  /** @param isNew something may have changed; else rows that are known to be there */
  async later(isNew: boolean): Promise<void> {
    const window = this.#window;
    // A change in the middle of a long chat is of rows that are not shown.
    if (window && isNew === window.hasLater) return;
    if (this.#isBusy) {
      this.#isDue ||= isNew;
      return;
    }
    // The first read may have failed.
    if (!window) return isNew ? this.open(this.#asked) : undefined;
    const from = isNew ? nextFrom(window) : (window.rows.at(-1)?.row.id ?? null);
    if (from === null) return this.open(null);
    await this.#read({ from, chars: furtherChars }, (page, at, known) => withLater(known ?? window, page, at));
  }

  async #read(
    question: Omit<CallInput<"conversation.read">, "session">,
    change: (page: Parameters<typeof opened>[0], at: number, window: ChatWindow | null) => ChatWindow,
  ): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const answer = await call("conversation.read", { session: this.#session, ...question });
    this.#isBusy = false;
    if (answer.ok) this.#window = change(answer.value, performance.now(), this.#window);
    this.#show(this.#window, answer.ok ? null : answer.error);
    if (!this.#isDue) return;
    this.#isDue = false;
    await this.later(true);
  }
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

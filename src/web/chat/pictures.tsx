import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConversationRow } from "../../contract/machine/conversation.ts";
import { plain } from "../format.ts";
import { call } from "../page-state.ts";
import type { RowOwner } from "./row-owner.ts";

interface PicturesProps {
  readonly row: ConversationRow;
  readonly owner: RowOwner;
}

export function Pictures({ row, owner }: PicturesProps): JSX.Element | null {
  if (row.kind === "note" || row.pictures === 0) return null;
  return (
    <div class="pictures">
      {Array.from({ length: row.pictures }, (_, number) => (
        <Picture key={number} row={row.id} number={number} owner={owner} />
      ))}
    </div>
  );
}

interface PictureProps {
  readonly row: string;
  readonly number: number;
  readonly owner: RowOwner;
}

/** Fetched from the machine of the chat when it comes into sight; its frame has one size. */
function Picture({ row, number, owner: { session, agent } }: PictureProps): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const [address, setAddress] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    let made: string | null = null;
    let isOver = false;
    const fetchIt = async (): Promise<void> => {
      const inAgent = agent === undefined ? {} : { agent };
      const answer = await call("conversation.picture", { session, ...inAgent, row, number });
      if (isOver) return;
      if (!answer.ok) return setTrouble(answer.error.message);
      const { type, data } = answer.value;
      made = URL.createObjectURL(new Blob([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], { type }));
      setAddress(made);
    };
    const inSight = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting !== true) return;
      inSight.disconnect();
      void fetchIt();
    });
    if (frame.current) inSight.observe(frame.current);
    return () => {
      isOver = true;
      inSight.disconnect();
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [session, agent, row, number]);
  return (
    <div class="picture" ref={frame}>
      {trouble !== null && <p class="muted">{plain(trouble)}</p>}
      {address === null ? (
        trouble === null && <p class="muted">Reading the picture …</p>
      ) : (
        <img src={address} alt={`Picture ${number + 1} of this message`} />
      )}
    </div>
  );
}

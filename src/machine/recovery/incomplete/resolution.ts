import type { RecoveryEvent } from "../../sessions/recoveries.ts";

/**
 * Pure. The one definition of what is counted and shown of a session that died:
 *
 * - died: its death is recorded (a row of `crashes`);
 * - offered: a chat in which the user wrote had it in its context, as a brief or in a sentence;
 * - continued: a chat has taken it, or worked on its files;
 * - dismissed: the user does not want it.
 *
 * An undo takes the last two back. What is neither continued nor dismissed is open.
 */
export type Resolution = "open" | "continued" | "dismissed";

export interface RecoveryProgress {
  readonly session: string;
  readonly resolution: Resolution;
  readonly offeredTo: readonly string[];
  /** Chats that did not take the session, since the last that did or the user's undo. */
  readonly declinedBy: readonly string[];
}

/** @param events in the order in which they were stored */
export function resolve(events: readonly RecoveryEvent[]): RecoveryProgress[] {
  const bySession = Map.groupBy(events, ({ session }) => session);
  return [...bySession].map(([session, own]) =>
    own.reduce(next, { session, resolution: "open", offeredTo: [], declinedBy: [] }),
  );
}

function next(known: RecoveryProgress, { action, chat, hasPrompt }: RecoveryEvent): RecoveryProgress {
  const open = { ...known, resolution: "open" } as const;
  switch (action) {
    case "offered":
    case "mentioned":
      if (chat === null || !hasPrompt) return open;
      return { ...open, offeredTo: withChat(known.offeredTo, chat), declinedBy: withChat(known.declinedBy, chat) };
    case "taken":
    case "recovered":
      return { ...known, resolution: "continued", declinedBy: [] };
    case "returned":
      return known;
    case "dismissed":
      return { ...open, resolution: "dismissed" };
    case "undone":
      return { ...open, declinedBy: [] };
  }
}

function withChat(chats: readonly string[], chat: string): readonly string[] {
  return chats.includes(chat) ? chats : [...chats, chat];
}

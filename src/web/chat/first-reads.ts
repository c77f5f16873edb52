/** The first questions of the view of a chat, asked before that view is there. */
export function firstReads(session: string) {
  return { "page.session": { session }, "conversation.read": { session, chars: firstChars } };
}

/** Characters of the part of a conversation that is read first: a screen or two. */
export const firstChars = 4_000;

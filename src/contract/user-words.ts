/** Most characters that a user writes to a chat from elsewhere at a time. */
export const maxUserWordsChars = 4_000;
/** Most characters that a user writes with a denial. */
export const maxMessageChars = 2_000;

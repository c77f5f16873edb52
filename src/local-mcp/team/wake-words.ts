/** How a line begins that wakes a chat: its hook tells the news themselves. It is nobody's prompt, so the journal does not take it for one. */
export const wakeWords = "SHIM: news waits for this chat";

/** Beginning of the line that wakes a chat; its hook delivers the news. The journal does not store the line as a prompt. */
export const wakeLine = "SHIM: news waits for this chat";

/** The journal does not store this line as a prompt. */
export const wakeLine = "SHIM: news waits for this chat";

/** Wire protocol. Version 1: chats, leases, elections, state, messages, tasks. */
export const protocolVersion = 1;
export const oldestProtocolVersion = 1;

/** Text pings of a client, which the runtime answers without waking the coordinator. */
export const pingText = "ping";
export const pongText = "pong";
export const maxPingIntervalMs = 10_000;

/** Larger frames are refused and close the socket. */
export const maxFrameChars = 1_048_576;
export const maxBatchSize = 100;
/** Limit of a frame's answers; its remaining requests are refused as `too_large`. */
export const maxAnswerChars = 2_000_000;
export const defaultMaxBodyBytes = 1_048_576;

/** Chats that one socket may represent: its attachment holds them all. */
export const maxChatsPerSocket = 32;

/** Notification {chat} of a client: the chat no longer uses this socket, as if it had closed. */
export const leaveMethod = "chats.leave";

/** Close codes of a socket. After one of the first two a client must not simply reconnect. */
export const closeCodes = {
  token: 4001,
  protocol: 4003,
  /** Too much unread output. The client may reconnect and continue from its cursors. */
  slow: 4005,
  /** Client kept sending while throttled. It may reconnect after a while. */
  flood: 4006,
} as const;

/** Subprotocol of a page's socket, offered beside its ticket, which opens one socket. */
export const ticketProtocol = "shim.page";
export const ticketLifeMs = 30_000;

/** Notification {mark}. The client answers `flow.read` {mark} once it has read up to it. */
export const flowMarkMethod = "flow.mark";
export const flowReadMethod = "flow.read";

/** Interval at which a client asks for what a lost hint was about. */
export const pollEveryMs = 15_000;

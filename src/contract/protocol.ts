/**
 * The wire protocol of a coordinator. One line for each version:
 * 1: chats, leases, elections, state, messages, tasks.
 */
export const protocolVersion = 1;
/** The oldest version that is still served. */
export const oldestProtocolVersion = 1;

/** Sent as text by a connected client; the runtime answers without waking the coordinator. One exact string each. */
export const pingText = "ping";
export const pongText = "pong";
/** How often a connected client pings, in ms. */
export const maxPingIntervalMs = 10_000;

/** Frames above this are refused and close the socket, in characters. */
export const maxFrameChars = 1_048_576;
/** Requests in one frame. */
export const maxBatchSize = 100;
/** While the answers of a frame have fewer characters, its next request is done; the others are refused as `too_large`. */
export const maxAnswerChars = 2_000_000;
/** Body of an HTTP request, in bytes, unless the operation says otherwise. */
export const defaultMaxBodyBytes = 1_048_576;

/** Why the coordinator closes a socket. A client that reads one of the first three must not simply come back. */
export const closeCodes = {
  /** The token was revoked or has expired. */
  token: 4001,
  chat: 4002,
  protocol: 4003,
  /** Another connection of the chat took over. */
  replaced: 4004,
  /** Too much was sent that the client has not read. It may connect again and continue from its cursors. */
  slow: 4005,
  /** It went on sending although it was throttled. It may connect again after a while. */
  flood: 4006,
} as const;

/**
 * A notification {mark}: the client answers it with the notification `flow.read` {mark}, so that the coordinator knows that everything before it
 * was read.
 */
export const flowMarkMethod = "flow.mark";
export const flowReadMethod = "flow.read";

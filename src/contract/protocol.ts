/**
 * The wire protocol of a coordinator. One line for each version:
 * 1: chats, leases, elections, state, messages, tasks.
 */
export const PROTOCOL_VERSION = 1;
/** The oldest version that is still served. */
export const OLDEST_PROTOCOL_VERSION = 1;

/** Sent as text by a connected client; the runtime answers without waking the coordinator. One exact string each. */
export const PING = "ping";
export const PONG = "pong";
/** How often a connected client pings, in ms. */
export const PING_INTERVAL_MS = 10_000;

/** Frames above this are refused and close the socket, in characters. */
export const MAX_FRAME_CHARS = 1_048_576;
/** Requests in one frame. */
export const MAX_BATCH = 100;
/** Body of an HTTP request, in bytes, unless the operation says otherwise. */
export const MAX_BODY_BYTES = 1_048_576;

/** Apart from the protocol: the page of a phone loads this. */

/** Text pings of a client, which the runtime answers without waking the coordinator. */
export const pingText = "ping";
export const pongText = "pong";

/** Close codes of a socket. After one of the first two a client must not simply reconnect. */
export const closeCodes = {
  token: 4001,
  protocol: 4003,
  /** Too much unread output. The client may reconnect and continue from its cursors. */
  slow: 4005,
  /** Client kept sending while throttled. It may reconnect after a while. */
  flood: 4006,
} as const;

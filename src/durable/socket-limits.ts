import type { Refusal } from "../contract/errors.ts";
import { closeCodes } from "../contract/protocol.ts";
import type { Tx } from "../coordination/kernel/tx.ts";
import type { Sockets } from "./sockets.ts";
import type { Throttle } from "./throttle.ts";

const operationsPerSocket = 20;

interface OpenOptions {
  readonly sockets: Sockets;
  readonly throttle: Throttle;
  readonly closeSocket: (socket: WebSocket, code: number, reason: string) => void;
}

/** [DO24] [DO26] Closes silent connections before refusing. */
export function checkCanOpen(
  { settings, now }: Tx,
  token: string,
  { sockets, throttle, closeSocket }: OpenOptions,
): Refusal | null {
  const { maxOperationsPerSecond, maxSocketsPerToken, maxSockets, lostSocketGraceMs } = settings;
  const waitMs = throttle.closedFor(token, maxOperationsPerSecond, now);
  if (waitMs > 0) {
    const details = { limit: "maxOperationsPerSecond" };
    return {
      code: "throttled",
      message: "this token was throttled, but kept sending",
      retryAfterMs: waitMs,
      details,
    };
  }
  const refused = throttle.take(token, "keep", maxOperationsPerSecond, now, operationsPerSocket);
  if (refused) return refused;
  const isRoom = (): boolean => sockets.listOfToken(token).length < maxSocketsPerToken && sockets.count < maxSockets;
  if (isRoom()) return null;
  for (const socket of sockets.listOfToken(token)) {
    const isSilent = sockets.seenAt(socket) <= now - lostSocketGraceMs;
    if (isSilent)
      closeSocket(socket, closeCodes.slow, "nothing was received from this socket, and its token has no socket left");
  }
  if (isRoom()) return null;
  return {
    code: "quota_exceeded",
    message: `a token has at most ${maxSocketsPerToken} open sockets, and the workspace ${maxSockets}; close some, or raise maxSocketsPerToken or maxSockets`,
  };
}

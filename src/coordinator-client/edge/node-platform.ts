import { randomBytes } from "node:crypto";
import { setTimer } from "../../platform/timers.ts";
import type { OpenSocket, Platform } from "./platform.ts";

export function nodePlatform(): Platform {
  return {
    clock: { monotonic: () => performance.now(), wall: () => Date.now() },
    setTimer,
    random: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
    fetch: (url, init) => fetch(url, init),
    openSocket,
  };
}

/** Node's own WebSocket, which accepts headers, unlike a browser's. */
const openSocket: OpenSocket = (url, headers, { onOpen, onText, onClose }) => {
  const socket = new WebSocket(url, { headers });
  let isOpen = false;
  let isClosed = false;
  const closeOnce = (code: number, reason: string): void => {
    if (!isClosed) onClose(code, reason);
    isClosed = true;
  };
  socket.addEventListener("open", () => {
    isOpen = true;
    onOpen();
  });
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") onText(data);
  });
  // Not every version of Node sends a close after a failed opening.
  socket.addEventListener("error", () => void (isOpen || closeOnce(1006, "no socket was opened")));
  socket.addEventListener("close", ({ code, reason }) => closeOnce(code, reason));
  return { send: (text) => socket.send(text), close: (code) => socket.close(code) };
};

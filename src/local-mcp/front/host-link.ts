import { connect, type Socket } from "node:net";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { messageOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";
import type { HostEvents, HostLink } from "./front.ts";
import { eachLine } from "./messages.ts";
import { mcpPath, mcpProtocol, type FrontHello, type HostHello } from "./hello.ts";
import { maxStartMs, retryMs } from "./start-host.ts";

export interface HostAddress {
  readonly home: string;
  readonly boot: string;
  readonly startHost: (socket: string) => void;
}

/** Connects a front to the host of its home, and starts a host where none answers. */
export function openHostLink(address: HostAddress, hello: FrontHello, events: HostEvents): HostLink {
  const path = hostSocket(address.home, address.boot);
  const startedAt = Date.now();
  let socket: Socket | null = null;
  let isClosed = false;
  const fail = (reason: string): void => {
    if (isClosed) return;
    isClosed = true;
    events.onClose(reason);
  };
  const attempt = (): void => {
    if (isClosed) return;
    try {
      checkSocketFolder(address.home, path);
    } catch (error) {
      // Not before the caller has its link.
      return void setImmediate(() => fail(messageOf(error)));
    }
    const made = connect(path);
    made.once("connect", () => {
      socket = made;
      greet(made, hello, events);
    });
    // An error is followed by "close".
    made.once("error", () => undefined);
    made.once("close", () => {
      if (socket !== null) return fail("closed");
      if (Date.now() - startedAt > maxStartMs) return fail("no host has started");
      try {
        address.startHost(path);
      } catch (error) {
        return fail(messageOf(error));
      }
      setTimeout(attempt, retryMs);
    });
  };
  attempt();
  return {
    send: (line) => void socket?.write(`${line}\n`),
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
  };
}

function greet(socket: Socket, hello: FrontHello, { onHello, onLine }: HostEvents): void {
  socket.write(`GET ${mcpPath} HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: ${mcpProtocol}\r\n\r\n`);
  socket.write(`${JSON.stringify(hello)}\n`);
  let isGreeted = false;
  eachLine(socket, (line) => {
    if (isGreeted) return onLine(line);
    // Lines of HTTP come before the host's greeting.
    const greeting = parseObject(line);
    if (greeting === null) return;
    isGreeted = true;
    onHello(greeting as unknown as HostHello);
  });
}

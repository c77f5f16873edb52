import { spawn } from "node:child_process";
import { closeSync, openSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { checkSocketFolder, hostSocket, prepareSocketFolder } from "../../platform/host-socket.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { eachLine, type HostEvents, type HostLink } from "./front.ts";
import { mcpPath, mcpProtocol, type FrontHello, type HostHello } from "./hello.ts";

export interface HostAddress {
  readonly home: string;
  readonly boot: string;
  /** The program of a new host. */
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/** How long a host may take from its start until it can be reached, in ms. */
const maxStartMs = 10_000;
const retryMs = 15;
/** Fronts that begin at the same moment start one host. */
const startEveryMs = 1_000;

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
        startHost(address, path);
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

/** Starts a host unless another front has just done it. */
function startHost({ home, program, env }: HostAddress, socket: string): void {
  prepareSocketFolder(home, socket);
  if (!takeTurn(`${home}/host.starting`)) return;
  const log = openSync(`${home}/host.log`, "a", 0o600);
  try {
    // Most objects are short-lived: a small heap for them saves 5 MB at no measured cost in time.
    const command = [process.execPath, "--max-semi-space-size=1", program] as const;
    // Clients end all processes below their servers, so the shell between leaves the host to init.
    const [file, ...args] = process.platform === "win32" ? command : ["/bin/sh", "-c", '"$@" &', "sh", ...command];
    spawn(file, args, {
      detached: true,
      stdio: ["ignore", "ignore", log],
      cwd: home,
      env,
    }).unref();
  } finally {
    closeSync(log);
  }
}

function takeTurn(mark: string): boolean {
  try {
    closeSync(openSync(mark, "wx", 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    const since = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    // A start that failed is repeated; a mark of the future is of another clock.
    if (Math.abs(Date.now() - since) > startEveryMs) rmSync(mark, { force: true });
    return false;
  }
}

import { setIdleTimer } from "../../platform/timers.ts";
import { type Log, fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import {
  clientPidOf,
  endSignals,
  identify,
  isAlive,
  systemProcesses,
  type ProcessIdentity,
} from "../../platform/processes.ts";
import { ownProgram } from "../../platform/version.ts";
import { Front, type FrontOptions, type HostEvents, type HostLink } from "./front.ts";
import { reserveStart, maxStartMs, retryMs } from "../host-client/reach-host.ts";
import { connect, type Socket } from "node:net";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { messageOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { mcpPath, mcpProtocol, type FrontHello, type HostHello } from "./hello.ts";
import { eachLine } from "./lines.ts";

/** The process that a client has started. */
export interface OwnProcess {
  readonly home: string;
  readonly self: ProcessIdentity;
  readonly client: ProcessIdentity | null;
  readonly clientPid: number;
  readonly log: Log;
}

export function ownProcess(home: string): OwnProcess {
  const clientPid = clientPidOf(systemProcesses, process.env, process.ppid);
  const self = identify(systemProcesses, process.pid);
  if (!self) throw new Error("this process is not in the process table");
  const log = fileLog(pathsIn(home).log, Date.now);
  return { home, self, client: identify(systemProcesses, clientPid), clientPid, log };
}

/** The differences between a front that starts a host and one that is it. */
export interface FrontKind extends Pick<FrontOptions, "keepEvent" | "endHost" | "exit"> {
  /** Called repeatedly while no host answers. */
  readonly startHost: () => void;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
}

/** Passes the messages of this process' stdio on to the host of the machine. */
export function runFront({ home, self, client, log }: OwnProcess, kind: FrontKind): void {
  const { isExtension, startHost, ...ways } = kind;
  const front = new Front({
    ...ways,
    stdin: process.stdin,
    stdout: process.stdout,
    program: ownProgram,
    connect: (isRestart, events) =>
      openHostLink(
        { home, boot: self.boot, startHost },
        { program: ownProgram, front: self, client, isRestart, isExtension, env: process.env },
        events,
      ),
    reserveStart: () => reserveStart(home),
    isClientAlive: () => client !== null && isAlive(systemProcesses, client),
    now: Date.now,
    schedule: setIdleTimer,
    log,
  });
  front.start();
  // Not once(): a repeated signal would otherwise kill this process during its last save.
  for (const signal of endSignals) process.on(signal, () => front.end(signal));
}

export interface HostAddress {
  readonly home: string;
  readonly boot: string;
  readonly startHost: () => void;
}

/** Connects a front to the host of its home, and starts a host where none answers. */
function openHostLink(address: HostAddress, hello: FrontHello, events: HostEvents): HostLink {
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
    const path = hostSocket(address.home, address.boot);
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
        address.startHost();
      } catch (error) {
        return fail(messageOf(error));
      }
      setTimeout(attempt, retryMs);
    });
  };
  attempt();
  return {
    send: (line) => void socket?.write(`${line}\n`),
    unsentBytes: () => socket?.writableLength ?? 0,
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
  };
}

function greet(socket: Socket, hello: FrontHello, { onHello, onDrain, ...events }: HostEvents): void {
  socket.write(`GET ${mcpPath} HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: ${mcpProtocol}\r\n\r\n`);
  socket.write(`${JSON.stringify(hello)}\n`);
  let isGreeted = false;
  const onLine = (line: string): void => {
    if (isGreeted) return events.onLine(line);
    // Lines of HTTP come before the host's greeting.
    const greeting = parseObject(line);
    if (greeting === null) return;
    isGreeted = true;
    onHello(greeting as unknown as HostHello);
  };
  eachLine(socket, { onLine, onLongLine: events.onLongLine });
  socket.on("drain", onDrain);
}

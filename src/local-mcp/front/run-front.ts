import type { Log } from "../../platform/log-file.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { clientPidOf, identify, isAlive, systemProcesses, type ProcessIdentity } from "../../platform/processes.ts";
import { builtAt, version } from "../../platform/version.ts";
import { Front, type FrontOptions } from "./front.ts";
import { openHostLink } from "./host-link.ts";
import { reserveStart } from "./start-host.ts";

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
  readonly startHost: (socket: string) => void;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
}

/** Passes the messages of this process' stdio on to the host of the machine. */
export function runFront({ home, self, client, log }: OwnProcess, kind: FrontKind): void {
  const program = { version, builtAt };
  const { isExtension, startHost, ...ways } = kind;
  const front = new Front({
    ...ways,
    stdin: process.stdin,
    stdout: process.stdout,
    program,
    connect: (isRestart, events) =>
      openHostLink(
        { home, boot: self.boot, startHost },
        { program, front: self, client, isRestart, isExtension, env: process.env },
        events,
      ),
    reserveStart: () => reserveStart(home),
    isClientAlive: () => client !== null && isAlive(systemProcesses, client),
    now: Date.now,
    schedule: (work, ms) => void setTimeout(work, ms).unref(),
    log,
  });
  front.start();
  // Not once(): a repeated signal would otherwise kill this process during its last save.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => front.end(signal));
}

import type { Readable, Writable } from "node:stream";
import { identify } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { MachineWork } from "./machine-work.ts";
import { ServedChat } from "./served-chat.ts";
import { logFailure } from "./server-end.ts";

export const tickMs = 2_000;

export interface ServeOptions {
  readonly runtime: Runtime;
  readonly version: string;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
  /** The client, or a wrapper that the client started. */
  readonly clientPid: number;
  readonly stdin: Readable;
  /** Carries only the protocol. */
  readonly stdout: Writable;
  readonly exit: (code: number) => void;
}

/** Serves one client on stdio, where no process can be started. [MC8] No process is left behind. */
export function serve({ runtime, version, isExtension, clientPid, stdin, stdout, exit }: ServeOptions): void {
  const server = identify(runtime.processes, process.pid);
  if (!server) throw new Error("this process is not in the process table");
  // Behind a launcher or a wrapper the parent is not the client.
  const parent = identify(runtime.processes, process.ppid);
  const machine = new MachineWork(runtime, server);
  const chat = new ServedChat({
    runtime,
    machine,
    version,
    isExtension,
    isFront: false,
    server,
    client: identify(runtime.processes, clientPid),
    clientPid,
    needed: parent === null ? [] : [parent],
    isRestart: false,
    input: stdin,
    output: stdout,
    onHandOver: () => undefined,
    onDetached: () => undefined,
    onEnded: (code) => void finish(code),
  });
  const timer = setInterval(() => machine.tick(), tickMs);
  const finish = async (code: number): Promise<void> => {
    clearInterval(timer);
    if (code === 0) await machine.stop(chat.client).catch(logFailure(runtime, "sync"));
    runtime.store.close();
    exit(code);
  };
  // Not once(): a repeated signal would otherwise kill this process during its last save.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    process.on(signal, () => chat.end(signal.toLowerCase()));
}

import { statSync } from "node:fs";
import type { Config } from "../../contract/config.ts";
import { readConfig } from "../../platform/config-file.ts";
import { hostLock, hostSocket, prepareSocketFolder } from "../../platform/host-socket.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import { builtAt, version } from "../../platform/version.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import { lockFile } from "../../store/file-lock.ts";
import type { LoadedDriver } from "../../store/open-driver.ts";
import { HostProcess } from "./host-process.ts";

/** Other processes only read, each for milliseconds. */
const busyMs = 2_000;

interface HostHereOptions extends Pick<LoadedDriver, "open" | "fallbackReason">, Pick<Runtime, "startJob"> {
  readonly home: string;
  readonly self: ProcessIdentity;
  /** The host has ended, and another process can be the host. */
  readonly onEnded: () => void;
}

/** Makes this process the host of the home; null: another process is it. */
export function hostHere({ home, self, open, fallbackReason, onEnded, startJob }: HostHereOptions): HostProcess | null {
  const socket = hostSocket(home, self.boot);
  prepareSocketFolder(home, socket);
  const lockPath = hostLock(home, self.boot);
  const lock = lockFile(lockPath, open);
  if (lock === null) {
    process.stderr.write(
      `${lockPath} is locked by another host, or its file system has no locks: SHIM_HOME needs them.\n`,
    );
    return null;
  }
  const runtime = withCurrentConfig({ ...systemRuntime({ driver: open, busyMs }), ...(startJob && { startJob }) });
  if (fallbackReason) runtime.log("warn", "second choice of SQLite", { reason: fallbackReason });
  return new HostProcess({
    runtime,
    self,
    program: { version, builtAt },
    socket,
    kill: (pid) => {
      // A front in the host's process ends with it, and in order.
      if (pid !== self.pid) process.kill(pid, "SIGKILL");
    },
    onEnded: () => {
      lock.close();
      onEnded();
    },
  });
}

/** Settings change while the host runs; a file that cannot be read changes nothing. */
function withCurrentConfig(started: Runtime): Runtime {
  let read = { at: 0, config: started.config };
  const current = (): Config => {
    const at = statSync(started.paths.config, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (at !== read.at) {
      const found = readConfig(started.paths.config);
      read = { at, config: found.ok ? found.value : read.config };
    }
    return read.config;
  };
  return {
    ...started,
    get config() {
      return current();
    },
  };
}

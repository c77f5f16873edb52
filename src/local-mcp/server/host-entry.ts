/** The host of a machine: a front that finds none starts it, and it ends by itself. */
import { statSync } from "node:fs";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import type { Config } from "../../contract/config.ts";
import type { Driver } from "../../store/driver.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { readConfig } from "../../platform/config-file.ts";
import { createPrivateFile } from "../../platform/private-files.ts";
import { loadDriver } from "../../store/open-driver.ts";
import { stackOf } from "../../shared/error.ts";
import { hostLock, hostSocket, prepareSocketFolder } from "../../platform/host-socket.ts";
import { identify, systemProcesses } from "../../platform/processes.ts";
import { homeFrom } from "../../platform/paths.ts";
import { builtAt, version } from "../../platform/version.ts";
import { HostProcess } from "./host-process.ts";

/** Other processes write as well, each for milliseconds. */
const busyMs = 2_000;

/** Never collected: a closed file would free the lock. */
const held: unknown[] = [];

/** [PR31] The lock of a file of SQLite, which the kernel frees with the process. */
function takeLock(path: string, open: Driver): boolean {
  createPrivateFile(path);
  const lock = open({ path, readOnly: false, busyMs: 0 });
  try {
    lock.script("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    held.push(lock);
    return true;
  } catch {
    lock.close();
    return false;
  }
}

async function main(): Promise<void> {
  const home = homeFrom(process.env);
  const self = identify(systemProcesses, process.pid);
  if (!self) throw new Error("this process is not in the process table");
  const socket = hostSocket(home, self.boot);
  prepareSocketFolder(home, socket);
  const { open, fallbackReason } = await loadDriver();
  if (!takeLock(hostLock(home, self.boot), open)) return;
  const started = systemRuntime({ driver: open, busyMs });
  let read = { at: 0, config: started.config };
  /** Settings that change while the host runs; a file that cannot be read changes nothing. */
  const config = (): Config => {
    const at = statSync(started.paths.config, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (at !== read.at) {
      const found = readConfig(started.paths.config);
      read = { at, config: found.ok ? found.value : read.config };
    }
    return read.config;
  };
  const runtime: Runtime = {
    ...started,
    get config() {
      return config();
    },
  };
  if (fallbackReason) runtime.log("warn", "second choice of SQLite", { reason: fallbackReason });
  const host = new HostProcess({
    runtime,
    self,
    program: { version, builtAt },
    socket,
    kill: (pid) => process.kill(pid, "SIGKILL"),
    onEnded: () => process.exit(0),
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => host.stop());
  process.on("SIGHUP", () => undefined);
}

main().catch((error: unknown) => {
  process.stderr.write(`${stackOf(error)}\n`);
  process.exitCode = 1;
});

/** The host of a machine: a front that finds none starts it, and it ends by itself. */
import { flushCompileCache } from "node:module";
import { homeFrom } from "../../platform/paths.ts";
import { identify, systemProcesses } from "../../platform/processes.ts";
import { stackOf } from "../../shared/error.ts";
import { loadDriver } from "../../store/open-driver.ts";
import { hostHere } from "./host-here.ts";

/** The first chat has its answers by then. */
const cacheAfterMs = 5_000;

async function main(): Promise<void> {
  const self = identify(systemProcesses, process.pid);
  if (!self) throw new Error("this process is not in the process table");
  const driver = await loadDriver();
  const host = hostHere({ ...driver, home: homeFrom(process.env), self, onEnded: () => process.exit(0) });
  if (host === null) return;
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => host.stop());
  process.on("SIGHUP", () => undefined);
  // A host that is killed would leave no compiled code to the next one.
  setTimeout(flushCompileCache, cacheAfterMs).unref();
}

main().catch((error: unknown) => {
  process.stderr.write(`${stackOf(error)}\n`);
  process.exitCode = 1;
});

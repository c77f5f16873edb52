/** The host of a machine: a front that finds none starts it, and it ends by itself. */
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { flushCompileCache, registerHooks } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { homeFrom } from "../../platform/paths.ts";
import { identify, systemProcesses } from "../../platform/processes.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { loadDriver } from "../../store/open-driver.ts";
import { startMark } from "../host-client/reach-host.ts";
import { hostHere } from "./host-process.ts";
import { jobsOf } from "./job-process.ts";

const folder = dirname(fileURLToPath(import.meta.url));
/** The first chat has its answers by then. */
const cacheAfterMs = 5_000;

/**
 * Where another version was installed over this one, the parts that this process has not
 * loaded are gone: it ends as if it were killed, and the fronts start the other version.
 */
function endWithoutParts(): void {
  registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        const isOwn = context.parentURL !== undefined && fileURLToPath(context.parentURL).startsWith(folder);
        if (!isOwn || !specifier.startsWith(".")) throw error;
        process.stderr.write(`This host ends, since its program was replaced: ${stackOf(error)}\n`);
        process.exit(1);
      }
    },
  });
}

async function main(home: string): Promise<void> {
  endWithoutParts();
  const self = identify(systemProcesses, process.pid);
  if (!self) throw new Error("this process is not in the process table");
  const driver = await loadDriver();
  const startJob = jobsOf(join(folder, "mcp-jobs.cjs"));
  const host = hostHere({ ...driver, home, self, startJob, onEnded: () => process.exit(0) });
  if (host === null) return fillMark(home, "");
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => host.stop());
  process.on("SIGHUP", () => undefined);
  // A host that is killed would leave no compiled code to the next one.
  setTimeout(flushCompileCache, cacheAfterMs).unref();
}

/** @param reason of a failed start; empty: the next start waits for a while */
function fillMark(home: string, reason: string): void {
  try {
    const mark = startMark(home);
    const { mtime } = statSync(mark);
    writeFileSync(mark, reason, { flag: "r+" });
    utimesSync(mark, mtime, mtime);
  } catch {
    // A host that can be reached has removed it.
  }
}

const home = homeFrom(process.env);
main(home).catch((error: unknown) => {
  fillMark(home, messageOf(error));
  process.stderr.write(`${stackOf(error)}\n`);
  process.exitCode = 1;
});

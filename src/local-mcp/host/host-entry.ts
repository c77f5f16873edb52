/** The host of a machine: a front that finds none starts it, and it ends by itself. */
import { flushCompileCache, registerHooks } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { homeFrom } from "../../platform/paths.ts";
import { identify, systemProcesses } from "../../platform/processes.ts";
import { runProgram } from "../../platform/run-program.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { loadDriver } from "../../store/open-driver.ts";
import { failStart } from "../host-client/reach-host.ts";
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
  const host = hostHere({ ...driver, home, self, startJob, run: runProgram, onEnded });
  if (host === null) return failStart(home, "");
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => host.stop());
  process.on("SIGHUP", () => undefined);
  // A host that is killed would leave no compiled code to the next one.
  setTimeout(flushCompileCache, cacheAfterMs).unref();
}

function onEnded(reason?: string): void {
  if (reason !== undefined) fail(reason);
  process.exit();
}

/** @param details for host.log */
function fail(reason: string, details = reason): void {
  failStart(home, reason);
  process.stderr.write(`${details}\n`);
  process.exitCode = 1;
}

const home = homeFrom(process.env);
main(home).catch((error: unknown) => fail(messageOf(error), stackOf(error)));

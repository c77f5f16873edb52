/** Pre-commit hook of git: loads little, and asks only about reserved files. */
import { readFileSync, writeSync } from "node:fs";
import { openNodeSqlite } from "../store/driver-node-sqlite.ts";
import { systemRuntime } from "../runtime/system-runtime.ts";
import { messageOf } from "../shared/error.ts";
import { checkCommit } from "../local-mcp/team/commit-guard.ts";
import { refusedExit } from "../local-mcp/team/guard-hook.ts";

/** Short, since the user waits for the commit. */
const busyMs = 500;
const maxWaitMs = 4_000;

async function main(): Promise<number> {
  const runtime = systemRuntime({ driver: openNodeSqlite, busyMs, isReadOnly: true });
  const commit = { root: process.cwd(), staged: readFileSync(0, "utf8"), parentPid: process.ppid };
  const { promise: timeout, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), maxWaitMs);
  const openLink = async () => {
    const [{ LocalHost }, { besideHost, systemIo }] = await Promise.all([
      import("../local-mcp/host/local-host.ts"),
      import("./system-io.ts"),
    ]);
    const beside = besideHost(runtime);
    const loaded = async () => ({ runtime: beside, driver: "node:sqlite" as const, fallbackReason: null });
    const site = systemIo(import.meta.url);
    return new LocalHost({ paths: runtime.paths, site, loaded, runtime: async () => beside }).workspace();
  };
  const { isRefused, text } = await checkCommit(runtime, commit, openLink, timeout);
  clearTimeout(timer);
  writeSync(2, text);
  return isRefused ? refusedExit : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    writeSync(2, `SHIM: ${messageOf(error)}\n`);
    process.exit(1);
  },
);

/** Pre-commit hook of git: loads little, and asks only about reserved files. */
import { readFileSync, writeSync } from "node:fs";
import { openNodeSqlite } from "../store/driver-node-sqlite.ts";
import { systemRuntime } from "../runtime/system-runtime.ts";
import { messageOf } from "../shared/error.ts";
import { checkCommit } from "./commands/team/commit-guard/check-commit.ts";
import { refusedExit } from "../local-mcp/team/guard-hook.ts";

/** Short, since the user waits for the commit. */
const busyMs = 500;
const maxWaitMs = 4_000;

async function main(): Promise<number> {
  const runtime = systemRuntime({ driver: openNodeSqlite, busyMs });
  const commit = { root: process.cwd(), staged: readFileSync(0, "utf8"), parentPid: process.ppid };
  const { promise: timeout, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), maxWaitMs);
  const makeRuntime = async () => ({ runtime, driver: "node:sqlite" as const, fallbackReason: null });
  const openLink = async () => {
    const [{ Cli }, { systemIo }] = await Promise.all([import("./cli.ts"), import("./system-io.ts")]);
    return new Cli({ ...systemIo(import.meta.url), makeRuntime }).workspace();
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

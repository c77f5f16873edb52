import { spawn } from "node:child_process";
import { mkdirSync, watch } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Paths } from "#src/platform/paths.ts";
import { systemProcesses, identify, type ProcessIdentity } from "#src/platform/processes.ts";
import { built, envOf } from "./mcp-process.ts";

/** Starts the built host of a home, and waits until it can be found. It is killed with the test. */
export async function startHost(paths: Paths): Promise<ProcessIdentity> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const { promise: linked, resolve } = Promise.withResolvers<void>();
  const watcher = watch(paths.home, (_event, name) => {
    if (name === "host.sock") resolve();
  });
  const env = envOf(paths, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "of another chat" });
  const child = spawn(process.execPath, [join(built.hook, "..", "mcp-host.cjs")], { env, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await linked;
  watcher.close();
  const host = child.pid === undefined ? null : identify(systemProcesses, child.pid);
  if (!host) throw new Error("the host has ended");
  return host;
}

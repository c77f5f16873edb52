import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import type { SystemSite, OperationContext } from "../../machine/context/operation-context.ts";
import { namesIn } from "../../platform/paths.ts";
import { programStart } from "../../platform/program-path.ts";
import type { Launch } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { codeOf } from "../../shared/error.ts";

const versionTimeoutMs = 5_000;

/** @param env of the caller */
export function systemSite(launch: Launch, env: NodeJS.ProcessEnv): SystemSite {
  return {
    env,
    now: Date.now,
    launch,
    nodeVersion: process.versions.node,
    machine: { platform: process.platform, env, homedir: homedir(), exists: existsSync, list: namesIn },
    runQuietly: (command, args) => runQuietly(command, args, env),
    versionOf: (program) => versionOf(program, env),
  };
}

/** Parts of an operation that the host does itself. @param runtime has the caller's variables */
export function hostContext(runtime: Runtime): Pick<OperationContext, "paths" | "site" | "loaded" | "runtime"> {
  return {
    paths: runtime.paths,
    site: systemSite(runtime.launch, runtime.env),
    loaded: async () => ({ runtime, driver: runtime.store.connection().driver, fallbackReason: null }),
    runtime: async () => runtime,
  };
}

function runQuietly(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { readonly code: number; readonly text: string } | null {
  const start = programStart(command, args, env);
  const { status, stdout, stderr, error } = spawnSync(start.file, start.args, {
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  if (error && codeOf(error) === "ENOENT") return null;
  return { code: status ?? 1, text: error ? error.message : `${stdout}${stderr}` };
}

function versionOf(program: string, env: NodeJS.ProcessEnv): string | null {
  try {
    const start = programStart(program, ["--version"], env);
    return execFileSync(start.file, start.args, {
      env,
      encoding: "utf8",
      timeout: versionTimeoutMs,
      stdio: ["ignore", "pipe", "ignore"],
      windowsHide: true,
    }).trim();
  } catch {
    return null;
  }
}

import { nodePlatform } from "../coordinator-client/edge/node-platform.ts";
import type { HostContext } from "../local-mcp/host/host.ts";
import { identify, type ProcessIdentity, type Processes } from "../platform/processes.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { worktreesIn } from "./worktrees.ts";

/** Parts of this machine that work in git worktrees needs. */
export interface WorkDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly processes: Processes;
  readonly self: ProcessIdentity;
  /** Folder of SHIM's worktrees. */
  readonly home: string;
}

export async function workDeps({ paths, runtime }: HostContext): Promise<Result<WorkDeps, Failure>> {
  const { env, now, processes } = await runtime();
  const self = identify(processes, process.pid);
  if (!self) return fail("unknown_process", "this system does not report when a process was started.");
  return ok({ env, now, random: nodePlatform().random, processes, self, home: worktreesIn(paths.home) });
}

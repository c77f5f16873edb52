import { join } from "node:path";
import { nodePlatform } from "../../coordinator-client/edge/platform.ts";
import type { CallOperation, OperationContext } from "../../machine/context/operation-context.ts";
import { OperationRunner } from "../../local-mcp/host/operation-runner.ts";
import type { Launch } from "../../platform/shim-command.ts";
import { identify, type ProcessIdentity, type Processes } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { WorktreeDeps } from "../../snapshots/worktrees.ts";

/** Parts of this machine that work in git worktrees needs. */
export interface WorkDeps extends WorktreeDeps {
  readonly now: () => number;
}

export async function workDeps({ paths, runtime }: OperationContext): Promise<Result<WorkDeps>> {
  const { env, now, processes } = await runtime();
  const self = ownIdentity(processes);
  if (!self.ok) return self;
  return ok({ env, now, random: nodePlatform().random, processes, self: self.value, home: join(paths.home, "work") });
}

export function ownIdentity(processes: Processes): Result<ProcessIdentity> {
  const self = identify(processes, process.pid);
  return self ? ok(self) : fail("unknown_process", "this system does not report when a process was started.");
}

/** Parts of this machine that the run of a client needs. */
export interface ClientDeps {
  readonly runtime: Runtime;
  /** Operations of the machine: the store is only read here. */
  readonly call: CallOperation;
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  /** Clock in ms that stops while the machine sleeps, and never jumps. */
  readonly monotonic: () => number;
}

export async function clientDeps(context: OperationContext): Promise<ClientDeps> {
  const { launch, versionOf } = context.site;
  const host = new OperationRunner(context);
  const { clock } = nodePlatform();
  return {
    runtime: await context.runtime(),
    call: (name, input) => host.call(name, input),
    launch,
    versionOf,
    monotonic: () => clock.monotonic(),
  };
}

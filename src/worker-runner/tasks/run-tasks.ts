import { join } from "node:path";
import { newId } from "../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { HostContext, Host } from "../../local-mcp/host/host.ts";
import { LocalHost } from "../../local-mcp/host/local-host.ts";
import { withWorkspace, type Workspace } from "../../local-mcp/host/workspace.ts";
import { fail, type Failure } from "../../shared/failure.ts";
import { ok, type Result } from "../../shared/result.ts";
import { machineHealth } from "../machine-health.ts";
import { removeOldWorktrees } from "../worktrees.ts";
import { keepOutput } from "../output-files.ts";
import { createSetups, type MakeExecutor, type TaskDeps, type TypeSettings } from "./task-type.ts";
import { workDeps } from "../work-deps.ts";
import { WorkerAutomation, type EndCounts, type WorkerOptions } from "../worker-automation.ts";
import type { EmitWorkerEvent } from "../worker-events.ts";

export interface Work<Type extends TypeSettings> extends Pick<
  WorkerOptions,
  "concurrency" | "drainMs" | "maxTasks" | "isOnce"
> {
  readonly types: Readonly<Record<string, Type>>;
  readonly capabilities: readonly string[];
  /** Folder of relative paths in the settings. */
  readonly folder: string;
  readonly makeExecutor: MakeExecutor<Type>;
  readonly emit: EmitWorkerEvent;
  /** Aborted: nothing new is begun; the reason may be a text. */
  readonly endSignal: AbortSignal;
  /** Aborted: what still runs is given back at once. */
  readonly hurrySignal?: AbortSignal;
}

export function runTasks<Type extends TypeSettings>(
  context: HostContext,
  work: Work<Type>,
): Promise<Result<EndCounts, Failure>> {
  return withWorkspace(context, (workspace) => runTasksIn(context, workspace, work));
}

/** Does tasks until there is none, or until it is asked to end. */
export async function runTasksIn<Type extends TypeSettings>(
  context: HostContext,
  workspace: Workspace,
  work: Work<Type>,
): Promise<Result<EndCounts, Failure>> {
  const deps = await taskDeps(context, workspace);
  if (!deps.ok) return deps;
  const { runtime, home } = deps.value;
  const setups = await createSetups(deps.value, work.types, work.folder, work.makeExecutor);
  if (!setups.ok) return setups;
  for (const folder of await removeOldWorktrees(home, deps.value))
    context.progress?.(`A worktree that was unused for a week was removed: ${folder}`);
  const { endSignal, hurrySignal } = work;
  if (endSignal.aborted) return ok({});
  const worker = automation(work, { workspace, home, setups: setups.value });
  const over = new AbortController();
  const listen = (signal: AbortSignal | undefined, listener: () => void): void =>
    signal?.addEventListener("abort", listener, { once: true, signal: over.signal });
  listen(endSignal, () => worker.drain(typeof endSignal.reason === "string" ? endSignal.reason : "asked to end"));
  listen(hurrySignal, () => worker.stopNow("asked to end at once"));
  const onProblem = (message: string): void => runtime.log("warn", message);
  const attending = context.machineHost?.attend({ onProblem, until: over.signal });
  try {
    const ended = await worker.run();
    return ended.ok ? ended : fail(ended.error.code, `${ended.error.message}.`);
  } finally {
    over.abort();
    await attending;
  }
}

/** For tasks that are done with the help of this process. */
export async function taskDeps(context: HostContext, workspace: Workspace): Promise<Result<TaskDeps, Failure>> {
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  const { launch, versionOf } = context.site;
  const { clock } = nodePlatform();
  const runtime = await context.runtime();
  const host = new LocalHost(context);
  const call: Host["call"] = (name, input) => host.call(name, input);
  return ok({ ...deps.value, runtime, call, launch, versionOf, monotonic: () => clock.monotonic(), workspace });
}

function automation(
  { concurrency, capabilities, drainMs, maxTasks, isOnce, emit }: Omit<Work<TypeSettings>, "makeExecutor">,
  { workspace, home, setups }: Pick<TaskDeps, "workspace" | "home"> & Pick<WorkerOptions, "setups">,
): WorkerAutomation {
  const { client: link, machine, process } = workspace;
  const platform = nodePlatform();
  const name = `worker-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80)}-${newId(platform).slice(-12)}`;
  const chat = { chat: name, session: name, process, machine, client: "shim worker", capabilities: [...capabilities] };
  const health = machineHealth(platform.clock);
  const output = join(home, "output");
  return new WorkerAutomation(
    { chat, setups, concurrency, drainMs, maxTasks, isOnce },
    { link, platform, health, emit, keepOutput: (task, text) => keepOutput(output, task, text) },
  );
}

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { HostContext, Host } from "../local-mcp/host/host.ts";
import { LocalHost } from "../local-mcp/host/local-host.ts";
import { identify } from "../platform/processes.ts";
import { programPath } from "../platform/program-path.ts";
import { findLastSupervisor, markSupervisor, supervisorFolder, unmarkSupervisor } from "../platform/supervisor-mark.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { lockFile } from "../store/file-lock.ts";
import { loadDriver } from "../store/open-driver.ts";
import { logFailure } from "../worker-runner/client/continuation.ts";
import { runProgram } from "../worker-runner/run-program.ts";
import type { OpenTerminal } from "./chat-watch.ts";
import { alreadyRunning, openState } from "./control.ts";
import { SupervisorDaemon, type SupervisorOptions } from "./supervisor-daemon.ts";
import type { SupervisorSettings } from "./supervisor-settings.ts";

interface Supervision extends Pick<SupervisorOptions, "emit" | "pace" | "wait"> {
  /** Rings when a chat has died; absent: nothing rings. */
  readonly ring?: () => void;
  readonly endSignal: AbortSignal;
  /** Aborted: what still runs is ended at once. */
  readonly hurrySignal: AbortSignal;
}

/** [SU8] Supervises as the home's only supervisor, until it is asked to end. */
export async function supervise(
  context: HostContext,
  settings: SupervisorSettings,
  { ring, endSignal, hurrySignal, ...more }: Supervision,
): Promise<Result<void, Failure>> {
  const { paths, site, machineHost } = context;
  const { home: folder } = paths;
  const runtime = await context.runtime();
  const self = identify(runtime.processes, process.pid);
  if (!self) return fail("unknown_process", "this system does not report when a process was started.");
  const lock = lockFile(join(supervisorFolder(folder), "lock"), (await loadDriver()).open);
  const previous = findLastSupervisor(folder);
  if (!lock) return err(alreadyRunning(previous));
  const over = new AbortController();
  try {
    const state = openState(folder);
    if (!state.ok) return state;
    markSupervisor(folder, self);
    const host = new LocalHost(context);
    const call: Host["call"] = (name, input) => host.call(name, input);
    await logFailure(runtime, "what hooks have left was not stored", call("recovery.catch-up", {}));
    const { launch, versionOf } = site;
    const own = { runtime, call, settings, folder, state: state.value, launch, versionOf, self, previous };
    const daemon = new SupervisorDaemon({ ...own, ...more, run: runProgram, openTerminal });
    void machineHost?.attend({
      ...(ring ? { ring } : {}),
      onStored: () => daemon.noteStored(),
      onProblem: (message) => runtime.log("warn", message),
      until: over.signal,
    });
    const end = await daemon.run(endSignal, hurrySignal);
    unmarkSupervisor(folder);
    return end === "asked" ? ok(undefined) : tooLarge(settings);
  } finally {
    over.abort();
    lock.close();
  }
}

/** A service restarts it after this failure. */
function tooLarge({ memoryLimitMb }: SupervisorSettings): Result<void, Failure> {
  return fail(
    "memory_limit",
    `the supervisor used more than ${memoryLimitMb} MB and has ended, with all that it ran. \`shim worker supervise\` continues where it stopped.`,
  );
}

/** The opener may live as long as its terminal, and outlives the supervisor. */
export const openTerminal: OpenTerminal = (command, args, cwd) =>
  new Promise((resolve, reject) => {
    const child = spawn(programPath(command, process.env), args, { cwd, detached: true, stdio: "ignore" });
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });

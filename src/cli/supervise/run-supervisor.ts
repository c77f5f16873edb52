import { runProgram } from "../../local-mcp/automation/run-program.ts";
import { identify, type ProcessIdentity } from "../../local-mcp/processes.ts";
import type { AttestDeath } from "../../local-mcp/supervisor/death-attestation.ts";
import { becomeOnly, lastSupervisorOf, resign } from "../../local-mcp/supervisor/only-supervisor.ts";
import { SupervisorDaemon, type SupervisorEnd } from "../../local-mcp/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "../../local-mcp/supervisor/supervisor-events.ts";
import { SupervisorState } from "../../local-mcp/supervisor/supervisor-state.ts";
import { Notifier } from "../../local-mcp/notify/notifier.ts";
import { startSync } from "../../local-mcp/sync/start-sync.ts";
import type { SupervisorSettings } from "../../local-mcp/supervisor/settings.ts";
import { stackOf } from "../../shared/error.ts";
import { ok } from "../../shared/result.ts";
import { failed } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { coordination } from "../coordination.ts";
import { safeJsonLine } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { openTerminal } from "./open-terminal.ts";
import { PacedOutput } from "./paced-output.ts";
import { readSettings } from "./settings-file.ts";
import { linesOf } from "./supervisor-lines.ts";

/** `shim supervise`, to its end. [SU14] */
export async function runSupervisor(cli: Cli, flags: Common): Promise<Outcome> {
  const settings = readSettings(cli);
  if (!settings.ok) return settings;
  const { processes } = await cli.runtime();
  const own = identify(processes, process.pid);
  if (!own) return failed("unknown_process", "this system does not tell when a process was started.");
  const { home } = cli.paths;
  const before = lastSupervisorOf(home);
  const only = await becomeOnly(home, own, processes);
  if (!only.ok) return failed("already_running", running(only.error));
  try {
    return await supervise(cli, flags, settings.value, own, before);
  } finally {
    resign(home, own);
    // Output that nobody reads must not keep the process.
    cli.io.leaveWithin(leaveMs);
  }
}

const leaveMs = 2_000;

function running({ pid }: ProcessIdentity): string {
  return `a supervisor runs already, pid ${pid}. \`shim supervise status\` shows what it does, \`shim supervise stop\` ends it.`;
}

async function supervise(
  cli: Cli,
  flags: Common,
  settings: SupervisorSettings,
  own: ProcessIdentity,
  before: ProcessIdentity | null,
): Promise<Outcome> {
  const { io, paths } = cli;
  const runtime = await cli.runtime();
  const state = SupervisorState.open(paths.home);
  if (!state.ok) {
    return failed(
      "state_damaged",
      `${state.error}: remove it, and every program begins anew, also those that had ended.`,
    );
  }
  const output = new PacedOutput(io);
  const daemon = new SupervisorDaemon({
    runtime,
    settings,
    folder: paths.home,
    state: state.value,
    launch: io.launch,
    own,
    before,
    run: runProgram,
    open: openTerminal,
    attest: attestBy(cli),
    tell: (event) => tell(cli, output, flags.json === true, event),
    pace: () => output.pace(),
    wait: io.wait,
  });
  const stopSync = startSync(runtime, own);
  const notifier = new Notifier({ runtime, ...(isRinging(cli, flags) ? { ring: () => io.stdout("\u0007") } : {}) });
  const stopNotifying = every(notifyEveryMs, () => void notifier.check());
  try {
    return answerOf(await untilAsked(cli, daemon), settings);
  } finally {
    stopNotifying();
    // What is not sent yet stays for the next process of this machine.
    await stopSync().catch((error: unknown) => runtime.log("error", "sync", { error: stackOf(error) }));
  }
}

/** How often it is looked whether the user is to be notified; the notifier itself looks less often. */
const notifyEveryMs = 5_000;

/** A bell in a file or in JSON is a stray character. */
function isRinging({ io }: Cli, { json }: Common): boolean {
  return io.isTty && json !== true;
}

function every(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}

async function untilAsked({ io }: Cli, daemon: SupervisorDaemon): Promise<SupervisorEnd> {
  const [asked, hurried] = [new AbortController(), new AbortController()];
  const hearings = [
    io.onInterrupt(() => (asked.signal.aborted ? hurried.abort() : asked.abort())),
    io.onReaderGone(() => asked.abort()),
  ];
  try {
    return await daemon.run(asked.signal, hurried.signal);
  } finally {
    for (const stop of hearings) stop();
  }
}

/** Asked anew each time: a machine may join another workspace meanwhile. */
function attestBy(cli: Cli): AttestDeath {
  return async (chat, process) => {
    const link = await coordination(cli);
    if (!link.ok) return link;
    try {
      return await link.value.call("chats.attest-death", { chat, machine: link.value.machine, process });
    } finally {
      link.value.close();
    }
  };
}

function tell(cli: Cli, output: PacedOutput, isJson: boolean, event: SupervisorEvent): void {
  const text = textOf(cli, isJson, event);
  if (event.type !== "output") return cli.io.stdout(text);
  const lines = event.text.split("\n").length;
  output.write(text, lines, (leftOut) => {
    const message = `${leftOut} lines of programs were left out, since nobody read them`;
    return textOf(cli, isJson, { type: "problem", name: null, message });
  });
}

function textOf(cli: Cli, isJson: boolean, event: SupervisorEvent): string {
  const at = cli.io.now();
  if (isJson) {
    const { type, ...more } = event;
    return `${safeJsonLine({ event: type, at, ...more })}\n`;
  }
  const lines = linesOf(event).map((line) => `${localTime(at)} ${line}\n`);
  return cli.shown(lines.join(""));
}

function answerOf(end: SupervisorEnd, { memoryLimitMb }: SupervisorSettings): Outcome {
  if (end === "asked") return ok({ data: { event: "over" }, text: "", isOneLine: true });
  // The service starts it again after a failure.
  return failed(
    "memory_limit",
    `it used more than ${memoryLimitMb} MB and has ended, with all that it ran. \`shim supervise\` goes on where it was.`,
  );
}

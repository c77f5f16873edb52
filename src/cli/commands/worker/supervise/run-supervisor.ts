import { spawn } from "node:child_process";
import { runProgram } from "../../../../worker-runner/run-program.ts";
import { identify, type ProcessIdentity } from "../../../../platform/processes.ts";
import type { AttestDeath } from "../../../../supervisor/death-record.ts";
import { becomeSupervisor, findLastSupervisor, resign } from "../../../../platform/supervisor-lock.ts";
import { SupervisorDaemon, type SupervisorEnd } from "../../../../supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "../../../../supervisor/supervisor-events.ts";
import { SupervisorState } from "../../../../supervisor/supervisor-state.ts";
import { DeathNotifier } from "../../../../local-mcp/notify/death-notifier.ts";
import { recordTakeovers } from "../../../../local-mcp/sync/takeover-notices.ts";
import { startSync } from "../../../../local-mcp/sync/start-sync.ts";
import type { SupervisorSettings } from "../../../../supervisor/supervisor-settings.ts";
import { stackOf } from "../../../../shared/error.ts";
import { ok } from "../../../../shared/result.ts";
import { programPath } from "../../../../platform/program-path.ts";
import type { OpenTerminal } from "../../../../supervisor/chat-death.ts";
import { failed } from "../../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../../cli.ts";
import { safeJsonLine } from "../../../screen-text.ts";
import { localTime } from "../../../times.ts";
import { formatEvent } from "./format-event.ts";
import { PacedOutput } from "./paced-output.ts";
import { readSettings } from "./settings-file.ts";

export async function runSupervisor(cli: Cli, flags: CommonOptions): Promise<CommandResult> {
  const settings = readSettings(cli);
  if (!settings.ok) return settings;
  const { processes } = await cli.runtime();
  const ownProcess = identify(processes, process.pid);
  if (!ownProcess) return failed("unknown_process", "this system does not report when a process was started.");
  const { home } = cli.paths;
  const previousSupervisor = findLastSupervisor(home);
  const only = await becomeSupervisor(home, ownProcess, processes);
  if (!only.ok) return failed("already_running", runningText(only.error));
  try {
    return await supervise(cli, flags, settings.value, ownProcess, previousSupervisor);
  } finally {
    resign(home, ownProcess);
    cli.io.leaveWithin(leaveTimeoutMs);
  }
}

const leaveTimeoutMs = 2_000;

function runningText({ pid }: ProcessIdentity): string {
  return `a supervisor is already running, pid ${pid}. \`shim worker supervise status\` shows what it does, \`shim worker supervise stop\` ends it.`;
}

async function supervise(
  cli: Cli,
  flags: CommonOptions,
  settings: SupervisorSettings,
  ownProcess: ProcessIdentity,
  previousSupervisor: ProcessIdentity | null,
): Promise<CommandResult> {
  const { io, paths } = cli;
  const runtime = await cli.runtime();
  const state = SupervisorState.open(paths.home);
  if (!state.ok) {
    return failed(
      "state_damaged",
      `${state.error}: remove it, and every program starts again, even those that had ended.`,
    );
  }
  const output = new PacedOutput(io);
  const daemon = new SupervisorDaemon({
    runtime,
    settings,
    folder: paths.home,
    state: state.value,
    launch: io.launch,
    versionOf: io.versionOf,
    self: ownProcess,
    previous: previousSupervisor,
    run: runProgram,
    openTerminal,
    attest: attestThrough(cli),
    emit: (event) => printEvent(cli, output, flags.json === true, event),
    pace: () => output.pace(),
    wait: io.wait,
  });
  const sync = startSync(runtime, ownProcess, recordTakeovers);
  // A bell in a file or in JSON is a stray character.
  const bell = io.isTty && flags.json !== true ? { ring: () => io.stdout("\u0007") } : {};
  const notifier = new DeathNotifier({ runtime, ...bell });
  const notifying = setInterval(() => void notifier.check(), notifyIntervalMs);
  try {
    return toAnswer(await runUntilInterrupted(cli, daemon), settings);
  } finally {
    clearInterval(notifying);
    await sync.stop().catch((error: unknown) => runtime.log("error", "sync", { error: stackOf(error) }));
  }
}

const notifyIntervalMs = 5_000;

async function runUntilInterrupted({ io }: Cli, daemon: SupervisorDaemon): Promise<SupervisorEnd> {
  const [asked, hurried] = [new AbortController(), new AbortController()];
  const subscriptions = [
    io.onInterrupt(() => (asked.signal.aborted ? hurried.abort() : asked.abort())),
    io.onReaderGone(() => asked.abort()),
  ];
  try {
    return await daemon.run(asked.signal, hurried.signal);
  } finally {
    for (const stop of subscriptions) stop();
  }
}

/** Reads the configuration each time: the machine may join another workspace meanwhile. */
function attestThrough(cli: Cli): AttestDeath {
  return async (chat, process) => {
    const link = await cli.workspace();
    if (!link.ok) return link;
    try {
      return await link.value.call("chats.attest-death", { chat, machine: link.value.machine, process });
    } finally {
      link.value.close();
    }
  };
}

function printEvent(cli: Cli, output: PacedOutput, isJson: boolean, event: SupervisorEvent): void {
  const text = eventText(cli, isJson, event);
  if (event.type !== "output") return cli.io.stdout(text);
  const lines = event.text.split("\n").length;
  output.write(text, lines, (droppedLines) => {
    const message = `${droppedLines} lines of program output were dropped, since nothing read them`;
    return eventText(cli, isJson, { type: "problem", name: null, message });
  });
}

function eventText(cli: Cli, isJson: boolean, event: SupervisorEvent): string {
  const at = cli.io.now();
  if (isJson) {
    const { type, ...more } = event;
    return `${safeJsonLine({ event: type, at, ...more })}\n`;
  }
  const lines = formatEvent(event).map((line) => `${localTime(at)} ${line}\n`);
  return cli.format(lines.join(""));
}

function toAnswer(end: SupervisorEnd, { memoryLimitMb }: SupervisorSettings): CommandResult {
  if (end === "asked") return ok({ data: { event: "over" }, text: "", isOneLine: true });
  // The service restarts it after a failure.
  return failed(
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

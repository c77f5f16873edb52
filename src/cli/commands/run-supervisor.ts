import { existsSync } from "node:fs";
import { join } from "node:path";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import { age, oneLine } from "../../shared/format.ts";
import { ok, type Result } from "../../shared/result.ts";
import {
  type WatchedState,
  retryProgram,
  stopSupervisor,
  watchedStates,
  SupervisorState,
  SupervisorSettings,
  findMissing,
} from "../../runner/supervisor/supervisor-state.ts";
import { leftReason } from "../../runner/supervisor/auto-restarter.ts";
import { supervise } from "../../runner/supervisor/supervisor-daemon.ts";
import type { SupervisorEvent } from "../../runner/supervisor/supervised-program.ts";
import { notFound, wrongUsage } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { eventText, untilAskedToEnd } from "../long-program.ts";
import { readSettings } from "../plan-file.ts";

const example = `{"watch": {"chats": {"kind": "sessions"}, "worker": {"kind": "worker", "args": ["--config", "worker.yaml"]}}}`;

/** Reads what to watch; errors are reported with their line before anything starts. */
export function readSupervisorSettings(cli: Cli): Result<SupervisorSettings> {
  const settings = parseSupervisorSettings(cli);
  const missing = settings.ok ? findMissing(settings.value, cli.paths.home, cli.io.env) : null;
  return missing === null ? settings : wrongUsage(`${fileOf(cli)}: ${missing}.`);
}

function fileOf({ paths }: Cli): string {
  return join(paths.home, "supervisor.json");
}

/** Leaves programs and folders unchecked: the PATH of who asks may be another. */
export function parseSupervisorSettings(cli: Cli): Result<SupervisorSettings> {
  const file = fileOf(cli);
  if (!existsSync(file)) return notFound(`there is no ${file}. It names what to watch, for example:\n${example}`);
  return readSettings(cli, file, SupervisorSettings, "settings of a supervisor");
}

export async function runSupervisor(cli: Cli, { json: isJson = false }: CommonOptions): Promise<CommandResult> {
  const settings = readSupervisorSettings(cli);
  if (!settings.ok) return settings;
  const { io } = cli;
  const ended = await untilAskedToEnd(cli, (signals) =>
    supervise(cli.context, settings.value, {
      ...signals,
      wait: io.wait,
      emit: (event) => io.stdout(eventText(cli, isJson, event, formatEvent)),
    }),
  );
  return ended.ok ? ok({ data: { event: "over" }, text: "", isOneLine: true }) : ended;
}

export async function showStatus(cli: Cli): Promise<CommandResult> {
  const settings = parseSupervisorSettings(cli);
  if (!settings.ok) return settings;
  const state = SupervisorState.open(cli.paths.home);
  if (!state.ok) return state;
  const { processes, now } = await cli.context.runtime();
  const pid = findSupervisor(cli.paths.home, processes)?.pid ?? null;
  const watched = watchedStates(settings.value, state.value, now(), pid !== null);
  const head =
    pid === null ? "No supervisor is running; start it with `shim worker supervise`." : `Supervisor: pid ${pid}.`;
  const table = cli.table(watched, {
    NAME: ({ name }) => name,
    KIND: ({ kind }) => kind,
    STATE: (facts) => phaseText(facts, pid !== null),
  });
  return ok({ data: { pid, watched }, text: `${head}\n${table}` });
}

export async function stopRunning(cli: Cli): Promise<CommandResult> {
  const stopped = await stopSupervisor(cli.context, cli.io.interrupted());
  if (!stopped.ok) return stopped;
  const pid = stopped.value;
  return ok({ data: { pid }, text: `Supervisor ${pid} has ended.\n` });
}

export async function retryOne(cli: Cli, name: string): Promise<CommandResult> {
  const settings = parseSupervisorSettings(cli);
  if (!settings.ok) return settings;
  const retried = await retryProgram(cli.context, settings.value, name);
  if (!retried.ok) return retried;
  const { phase, isSupervised } = retried.value;
  const when = isSupervised ? "in a moment" : "with the next `shim worker supervise`";
  return ok({ data: { name, phase }, text: `${name} starts again ${when}.\n` });
}

const maxChars = 2_000;

export function formatEvent(event: SupervisorEvent): string[] {
  if (event.type === "output")
    return event.text.split("\n").map((line) => `${event.name} | ${oneLine(line, maxChars)}`);
  return [oneLine(describeEvent(event), maxChars)];
}

function describeEvent(event: Exclude<SupervisorEvent, { type: "output" }>): string {
  switch (event.type) {
    case "supervising":
      return `supervises ${event.watched.join(", ")} (pid ${event.pid})`;
    case "started":
      return `${event.name}: started (${event.how})`;
    case "ended":
      return `${event.name}: ${phaseText(event)}; it ran for ${age(event.ranMs)}${retryHint(event)}`;
    case "died":
      return `${event.name}: session ${event.session} died (${event.cause.replaceAll("_", " ")}), ${savedText(event.checkpoint)}`;
    case "restarting":
      return `${event.name}: session ${event.session} is started again (${event.how})`;
    case "held":
      return `${event.name}: not started now: ${event.reason}`;
    case "ending":
      return `ends (${event.reason})`;
    case "problem":
      return [event.name, "problem", event.message].filter((part) => part !== null).join(": ");
  }
}

function retryHint({ phase, name, isProgram }: Extract<SupervisorEvent, { type: "ended" }>): string {
  const isOver = ["looping", "stopped", "failed"].includes(phase);
  return isProgram && isOver ? `. \`shim worker supervise retry ${name}\` starts it` : "";
}

function savedText(checkpoint: string | null): string {
  return checkpoint === null ? "with nothing to save" : `its last checkpoint is ${checkpoint}`;
}

interface PhaseFacts {
  readonly phase: WatchedState["phase"];
  readonly reason: string | null;
  readonly againInMs: number | null;
}

function phaseText({ phase, reason, againInMs }: PhaseFacts, isSupervised = reason !== leftReason): string {
  const why = reason === null ? "" : `: ${reason}`;
  const start = isSupervised ? startText(againInMs ?? 0) : "starts with the next one";
  if (phase === "due") return `${reason ?? "not started yet"}; ${start}`;
  if (phase === "looping") return `stopped, since it crashed again and again${why}`;
  if (phase === "unwatched") return "not watched now";
  return phase === "running" ? phase : `${phase}${why}`;
}

const almostSecondMs = 999;

function startText(ms: number): string {
  return ms === 0 ? "starts now" : `starts in ${age(ms + almostSecondMs)}`;
}

import { isAlive, type ProcessIdentity } from "../../../../platform/processes.ts";
import { dueInMs } from "../../../../supervisor/auto-restarter.ts";
import { findSupervisor } from "../../../../platform/supervisor-lock.ts";
import { isProgram, type SupervisorSettings, type WatchTarget } from "../../../../supervisor/supervisor-settings.ts";
import { SupervisorState } from "../../../../supervisor/supervisor-state.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import { failed, notFound, type FailedResult } from "../../../answer.ts";
import type { Cli, CommandResult } from "../../../cli.ts";
import { table } from "../../../screen-text.ts";
import { readSettings } from "./settings-file.ts";
import { phaseText } from "./format-event.ts";

interface SupervisorFacts {
  readonly settings: SupervisorSettings;
  readonly state: SupervisorState;
  readonly supervisor: ProcessIdentity | null;
}

async function readFacts(cli: Cli): Promise<Result<SupervisorFacts, FailedResult["error"]>> {
  const settings = readSettings(cli);
  if (!settings.ok) return settings;
  const state = SupervisorState.open(cli.paths.home);
  if (!state.ok) return failed("state_damaged", `${state.error}; \`shim worker supervise\` shows more.`);
  const { processes } = await cli.runtime();
  return ok({ settings: settings.value, state: state.value, supervisor: findSupervisor(cli.paths.home, processes) });
}

export async function status(cli: Cli): Promise<CommandResult> {
  const found = await readFacts(cli);
  if (!found.ok) return found;
  const { settings, supervisor } = found.value;
  const watched = Object.entries(settings.watch).map(([name, one]) => toRow(cli, found.value, name, one));
  const rows = watched.map(({ name, kind, text }) => [name, kind, text]);
  const head =
    supervisor === null
      ? "No supervisor is running; start it with `shim worker supervise`."
      : `Supervisor: pid ${supervisor.pid}.`;
  return ok({
    data: { pid: supervisor?.pid ?? null, watched: watched.map(({ text: _text, ...row }) => row) },
    text: `${head}\n${table(rows, cli.io.size().columns)}`,
  });
}

interface ProgramRow {
  readonly name: string;
  readonly kind: string;
  readonly phase: string;
  readonly reason: string | null;
  readonly session: string | null;
  readonly againInMs: number | null;
  readonly text: string;
}

/** A killed supervisor leaves states of `running` that are no longer true. */
function toRow(cli: Cli, { state, supervisor }: SupervisorFacts, name: string, watched: WatchTarget): ProgramRow {
  const none = { name, kind: watched.kind, reason: null, session: null, againInMs: null };
  const idle = { ...none, phase: "unwatched", text: "not watched now" };
  if (!isProgram(watched)) return supervisor === null ? idle : { ...none, phase: "watched", text: "watched" };
  const { restarts, chat } = state.stateFor(name, watched, cli.io.now());
  if (supervisor === null && restarts.phase === "running") return { ...idle, session: chat.session };
  const againInMs = dueInMs(restarts, cli.io.now());
  const { phase, reason } = restarts;
  return { ...none, phase, reason, session: chat.session, againInMs, text: phaseText(restarts, againInMs) };
}

const pollIntervalMs = 100;

export async function stop(cli: Cli): Promise<CommandResult> {
  const { processes } = await cli.runtime();
  const supervisor = findSupervisor(cli.paths.home, processes);
  if (supervisor === null) return notFound("no supervisor is running.");
  if (!isAlive(processes, supervisor)) {
    return failed("out_of_sight", `the supervisor (pid ${supervisor.pid}) runs in another container: end it there.`);
  }
  process.kill(supervisor.pid, "SIGTERM");
  cli.progress("The supervisor is ending what it runs.");
  const interrupted = cli.io.interrupted();
  while (isAlive(processes, supervisor)) {
    if (interrupted.aborted) return failed("interrupted", `supervisor ${supervisor.pid} is still ending.`);
    await cli.io.wait(pollIntervalMs, interrupted);
  }
  return ok({ data: { pid: supervisor.pid }, text: `Supervisor ${supervisor.pid} has ended.\n` });
}

export async function retry(cli: Cli, name: string): Promise<CommandResult> {
  const found = await readFacts(cli);
  if (!found.ok) return found;
  const { settings, state, supervisor } = found.value;
  const watched = Object.hasOwn(settings.watch, name) ? settings.watch[name] : undefined;
  if (!watched || !isProgram(watched)) {
    const names = Object.entries(settings.watch).flatMap(([one, what]) => (isProgram(what) ? [one] : []));
    return notFound(`no program "${name}" is watched. There are: ${names.join(", ") || "none"}.`);
  }
  const { phase } = state.stateFor(name, watched, cli.io.now()).restarts;
  if (supervisor !== null && phase === "running")
    return failed("is_running", `${name} is running; nothing was changed.`);
  state.requestRestart(name);
  const when = supervisor === null ? "with the next `shim worker supervise`" : "in a moment";
  return ok({ data: { name, phase }, text: `${name} starts again ${when}.\n` });
}

import type { Sample } from "../../contract/metrics.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import { toExposition } from "../../shared/exposition.ts";
import { ok } from "../../shared/result.ts";
import { programSamples, SupervisorState } from "../../runner/supervisor/supervisor-state.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { parseSupervisorSettings } from "./run-supervisor.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export async function printMetrics(cli: Cli): Promise<CommandResult> {
  const read = await cli.call("metrics.read", {});
  if (!read.ok) return read;
  const samples = [...read.value.samples, ...readPrograms(cli)];
  return ok({ data: { samples }, text: await toExposition(samples), isVerbatim: true });
}

export async function serveMetrics(cli: Cli, address: ListenAddress): Promise<CommandResult> {
  const served = await cli.runner.serveMetrics({ ...address, more: () => readPrograms(cli) });
  if (!served.ok) return served;
  const { url, tokenFile } = served.value;
  cli.progress(`Metrics at ${url}, with the bearer token in ${tokenFile}. Ctrl-C ends it.`);
  await cli.untilEnd();
  await served.value.close();
  return ok({ data: null, text: "" });
}

/** Problems of settings and state are those of `shim worker supervise` and its status. */
function readPrograms(cli: Cli): Sample[] {
  const { home } = cli.paths;
  const settings = parseSupervisorSettings(cli);
  const state = SupervisorState.open(home);
  if (!settings.ok || !state.ok) return [];
  return programSamples(settings.value, state.value, cli.io.now(), findSupervisor(home, systemProcesses) !== null);
}

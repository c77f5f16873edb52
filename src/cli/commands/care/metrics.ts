import { InvalidArgumentError, type Command } from "commander";
import type { Sample } from "../../../contract/metrics.ts";
import { toExposition } from "../../../shared/exposition.ts";
import { ok } from "../../../shared/result.ts";
import { systemProcesses } from "../../../platform/processes.ts";
import { findSupervisor } from "../../../platform/supervisor-mark.ts";
import { programSamples } from "../../../supervisor/control.ts";
import { SupervisorState } from "../../../supervisor/supervisor-state.ts";
import { fromHost } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { parseSupervisorSettings } from "../worker/run-supervisor.ts";

interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

interface MetricsOptions extends CommonOptions {
  readonly listen?: ListenAddress | true;
}

/** Prometheus' list of default ports leaves this one free. */
const defaultPort = 9_746;

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("metrics")
    .description("metrics of this machine, and of its own coordinator, as Prometheus text")
    .option(
      "--listen [address]",
      `serve them on loopback until Ctrl-C: a port or 127.0.0.1:port (default: ${defaultPort})`,
      parseAddress,
    );
  cli.define(command, (options: MetricsOptions) => (options.listen === undefined ? print(cli) : listen(cli, options)));
}

/** Accepts loopback only. */
function parseAddress(text: string): ListenAddress {
  const [, host = "127.0.0.1", port = ""] = /^(?:(127\.0\.0\.1|localhost|\[::1\]):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw new InvalidArgumentError("It must be a port, or 127.0.0.1, localhost or [::1] with a port.");
  return { host: host.replaceAll(/[[\]]/g, ""), port: Number(port) };
}

async function print(cli: Cli): Promise<CommandResult> {
  const read = await cli.call("metrics.read", {});
  if (!read.ok) return read;
  const samples = [...read.value.samples, ...readPrograms(cli)];
  return ok({ data: { samples }, text: await toExposition(samples), isVerbatim: true });
}

async function listen(cli: Cli, options: MetricsOptions): Promise<CommandResult> {
  const address = options.listen === true || options.listen === undefined ? defaultAddress : options.listen;
  const served = await cli.host.serveMetrics({ ...address, more: () => readPrograms(cli) });
  if (!served.ok) return fromHost(served);
  const { url, tokenFile } = served.value;
  cli.progress(`Metrics at ${url}, with the bearer token in ${tokenFile}. Ctrl-C ends it.`);
  await cli.untilEnd();
  await served.value.close();
  return ok({ data: null, text: "" });
}

const defaultAddress: ListenAddress = { host: "127.0.0.1", port: defaultPort };

/** [OB15] Problems of settings and state are those of `shim worker supervise` and its status. */
function readPrograms(cli: Cli): Sample[] {
  const { home } = cli.paths;
  const settings = parseSupervisorSettings(cli);
  const state = SupervisorState.open(home);
  if (!settings.ok || !state.ok) return [];
  return programSamples(settings.value, state.value, cli.io.now(), findSupervisor(home, systemProcesses) !== null);
}

import { InvalidArgumentError, type Command } from "commander";
import type { Sample } from "../../../contract/metrics.ts";
import { machineMetrics } from "../../../local-mcp/metrics/machine-metrics.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { toExposition } from "../../../shared/exposition.ts";
import { ok } from "../../../shared/result.ts";
import { findSupervisor } from "../../../platform/supervisor-lock.ts";
import { programSamples } from "../../../supervisor/supervisor-metrics.ts";
import { SupervisorState } from "../../../supervisor/supervisor-state.ts";
import { failed, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { parseSupervisorSettings } from "../worker/run-supervisor.ts";
import { serveMetrics, tokenFile, type ListenAddress } from "./metrics-server.ts";

interface MetricsOptions extends CommonOptions {
  readonly listen?: ListenAddress | true;
}

/** Prometheus' list of default ports leaves this one free. */
const defaultPort = 9_746;

export function addMetrics(program: Command, cli: Cli): void {
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
  const reader = new MetricsReader(cli);
  try {
    const samples = await reader.read();
    if (!samples.ok) return samples;
    return ok({ data: { samples: samples.value }, text: await toExposition(samples.value), isVerbatim: true });
  } finally {
    reader.close();
  }
}

async function listen(cli: Cli, options: MetricsOptions): Promise<CommandResult> {
  const address = options.listen === true || options.listen === undefined ? defaultAddress : options.listen;
  const reader = new MetricsReader(cli);
  try {
    const server = await serveMetrics({ home: cli.paths.home, address, read: () => reader.read() });
    if (typeof server === "string") return failed("not_listening", server);
    cli.progress(`Metrics at ${server.url}, with the bearer token in ${tokenFile(cli.paths.home)}. Ctrl-C ends it.`);
    await cli.untilEnd();
    await server.close();
    return ok({ data: null, text: "" });
  } finally {
    reader.close();
  }
}

const defaultAddress: ListenAddress = { host: "127.0.0.1", port: defaultPort };

/** [OB1] A coordinator on the edge is scraped there, since each of its requests is billed. */
class MetricsReader {
  readonly #cli: Cli;
  #link: Workspace | null = null;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  /** @throws {StoreError} when the machine's store cannot be read */
  async read(): Promise<CliResult<Sample[]>> {
    const workspace = await this.#readWorkspace();
    if (!workspace.ok) return workspace;
    const runtime = await this.#cli.runtime();
    return ok([...machineMetrics(runtime), ...this.#readPrograms(runtime), ...workspace.value]);
  }

  /** Problems of settings and state are those of `shim worker supervise` and its status. */
  #readPrograms({ processes, now }: Runtime): Sample[] {
    const { home } = this.#cli.paths;
    const settings = parseSupervisorSettings(this.#cli);
    const state = SupervisorState.open(home);
    if (!settings.ok || !state.ok) return [];
    return programSamples(settings.value, state.value, now(), findSupervisor(home, processes) !== null);
  }

  async #readWorkspace(): Promise<CliResult<Sample[]>> {
    if (!this.#link) {
      const opened = await this.#cli.workspace();
      if (!opened.ok) return opened;
      this.#link = opened.value;
    }
    if (this.#link.isEdge) return ok([]);
    const sampled = await this.#link.call("metrics", {});
    return sampled.ok ? ok(sampled.value.samples) : sampled;
  }

  close(): void {
    this.#link?.close();
  }
}

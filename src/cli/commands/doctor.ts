import { type Command, InvalidArgumentError, Option } from "commander";
import type { Check } from "../../contract/machine/installation.ts";
import { pluralize } from "../../shared/format.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { shownPath } from "../screen-text.ts";
import type { ListenAddress } from "./metrics.ts";

interface DoctorOptions extends CommonOptions {
  readonly acknowledge?: boolean;
  readonly workspace?: boolean;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("doctor")
    .description("check everything, and say how to fix it")
    .addOption(
      new Option("--workspace", "check the workspace that this machine has joined, as its operator would").conflicts(
        "acknowledge",
      ),
    )
    .option("--acknowledge", "mark the notices as read: do not show them again");
  cli.define(command, "--workspace", (options: DoctorOptions) => doctor(cli, options));
  addMetrics(command, cli);
}

async function doctor(cli: Cli, options: DoctorOptions): Promise<CommandResult> {
  if (options.acknowledge)
    return cli.show("notices.acknowledge", {}, ({ acknowledged }) => ({
      text: [...acknowledged.map(({ text }) => text), `${pluralize(acknowledged.length, "notice")} acknowledged.`],
    }));
  cli.progress("Checking ...");
  return cli.show("checks.run", options.workspace ? { group: "workspace" } : {}, ({ checks, isHealthy }) => {
    const count = (state: Check["state"]): number => checks.filter((one) => one.state === state).length;
    const sum = `${count("ok")} ok, ${pluralize(count("warn"), "warning")}, ${pluralize(count("fail"), "failure")}`;
    const lines = checks.flatMap(({ state, name, text, fix }) => [
      `${cli.paint(colours[state], state.padEnd(4))}  ${name}: ${shownPath(text)}`,
      fix !== null && `      fix: ${fix}`,
    ]);
    return { text: [...lines, sum], isFailed: !isHealthy };
  });
}

const colours = { ok: "green", warn: "yellow", fail: "red" } as const;

/** Prometheus' list of default ports leaves this one free. */
const defaultPort = 9_746;

function addMetrics(doctor: Command, cli: Cli): void {
  const command = doctor
    .command("metrics")
    .description("metrics of this machine, and of its own coordinator, as Prometheus text")
    .option(
      "--listen [address]",
      `serve them on loopback until Ctrl-C: a port or 127.0.0.1:port (default: ${defaultPort})`,
      parseAddress,
    );
  cli.define(command, "--listen 9746", async ({ listen }: { readonly listen?: ListenAddress | true }) => {
    const { printMetrics, serveMetrics } = await import("./metrics.ts");
    if (listen === undefined) return printMetrics(cli);
    return serveMetrics(cli, listen === true ? { host: "127.0.0.1", port: defaultPort } : listen);
  });
}

/** Accepts loopback only. */
function parseAddress(text: string): ListenAddress {
  const [, host = "127.0.0.1", port = ""] = /^(?:(127\.0\.0\.1|localhost|\[::1\]):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw new InvalidArgumentError("It must be a port, or 127.0.0.1, localhost or [::1] with a port.");
  return { host: host.replaceAll(/[[\]]/g, ""), port: Number(port) };
}

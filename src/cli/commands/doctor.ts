import { type Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import type { Check } from "../../contract/machine/installation.ts";
import { pluralize } from "../../shared/format.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { shownPath } from "../screen-text.ts";
import type { ListenAddress } from "./metrics.ts";

const DoctorInput = z.strictObject({
  workspace: z
    .boolean()
    .default(false)
    .meta({
      excludes: ["acknowledge"],
      description: "check the workspace that this machine has joined, as its operator would",
    }),
  acknowledge: flag("mark the notices as read: do not show them again"),
});

export function addCommand(program: Command, cli: Cli): void {
  const command = define(cli, program, "doctor", {
    input: DoctorInput,
    summary: "Check everything, and say how to fix it.",
    example: { workspace: true },
    run: (input) => doctor(cli, input),
  });
  addMetrics(command, cli);
}

async function doctor(cli: Cli, { workspace, acknowledge }: z.infer<typeof DoctorInput>): Promise<CommandResult> {
  if (acknowledge)
    return cli.show("notices.acknowledge", {}, ({ acknowledged }) => ({
      text: [...acknowledged.map(({ text }) => text), `${pluralize(acknowledged.length, "notice")} acknowledged.`],
    }));
  cli.progress("Checking ...");
  return cli.show("checks.run", workspace ? { group: "workspace" } : {}, ({ checks, isHealthy }) => {
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
  const listening = `serve them on loopback until Ctrl-C: a port or 127.0.0.1:port (default: ${defaultPort})`;
  define(cli, doctor, "metrics", {
    summary: "Metrics of this machine, and of its own coordinator, as Prometheus text.",
    own: [new Option("--listen [address]", listening).argParser(parseAddress)],
    run: async (_input, { listen }) => {
      const { printMetrics, serveMetrics } = await import("./metrics.ts");
      if (listen === undefined) return printMetrics(cli);
      return serveMetrics(cli, listen === true ? { host: "127.0.0.1", port: defaultPort } : (listen as ListenAddress));
    },
  });
}

/** Accepts loopback only. */
function parseAddress(text: string): ListenAddress {
  const [, host = "127.0.0.1", port = ""] = /^(?:(127\.0\.0\.1|localhost|\[::1\]):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw new InvalidArgumentError("It must be a port, or 127.0.0.1, localhost or [::1] with a port.");
  return { host: host.replaceAll(/[[\]]/g, ""), port: Number(port) };
}

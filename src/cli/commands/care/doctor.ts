import type { Command } from "commander";
import type { Check } from "../../../contract/machine/checks.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";

interface DoctorOptions extends CommonOptions {
  readonly acknowledge?: boolean;
  readonly selfTest?: boolean;
}

export function addCommand(program: Command, cli: Cli): Command {
  const command = program
    .command("doctor")
    .description("check everything, and say how to fix it")
    .option("--acknowledge", "mark the notices as read: do not show them again")
    .option("--self-test", "save and recover a chat in a temporary folder, and print a report to send");
  return cli.define(command, (options: DoctorOptions) => doctor(cli, options));
}

async function doctor(cli: Cli, options: DoctorOptions): Promise<CommandResult> {
  if (options.acknowledge) return acknowledge(cli);
  if (options.selfTest) return (await import("./self-test.ts")).selfTest(cli);
  cli.progress("Checking ...");
  const answer = await cli.call("checks.run", { folder: cli.io.cwd });
  if (!answer.ok) return answer;
  const { checks, isHealthy } = answer.value;
  const count = (state: Check["state"]): number => checks.filter((one) => one.state === state).length;
  const sum = `${count("ok")} ok, ${pluralize(count("warn"), "warning")}, ${pluralize(count("fail"), "failure")}\n`;
  const text = checks.map((one) => render(cli, one)).join("") + sum;
  return ok({ data: answer.value, text, isFailed: !isHealthy });
}

async function acknowledge(cli: Cli): Promise<CommandResult> {
  const answer = await cli.call("notices.acknowledge", {});
  if (!answer.ok) return answer;
  const { acknowledged } = answer.value;
  const lines = acknowledged.map((one) => `${one.text}\n`).join("");
  return ok({ data: answer.value, text: `${lines}${pluralize(acknowledged.length, "notice")} acknowledged.\n` });
}

const colours = { ok: "green", warn: "yellow", fail: "red" } as const;

function render(cli: Cli, { state, name, text, fix }: Check): string {
  const line = `${cli.paint(colours[state], state.padEnd(4))}  ${name}: ${text}\n`;
  return fix === null ? line : `${line}      fix: ${fix}\n`;
}

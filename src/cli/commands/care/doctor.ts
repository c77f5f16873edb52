import { pluralize } from "../../../shared/format.ts";
import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { channelChecks } from "./channel-checks.ts";
import { failedCheck, type Check } from "./doctor-check.ts";
import { machineChecks } from "./machine-checks.ts";
import { storeChecks } from "./store-checks.ts";
import { telemetryChecks } from "./telemetry-check.ts";
import { trustChecks } from "./trust-checks.ts";

interface DoctorOptions extends CommonOptions {
  readonly acknowledge?: boolean;
  readonly selfTest?: boolean;
}

export function addDoctor(program: Command, cli: Cli): Command {
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
  const checks = [...machineChecks(cli), ...(await channels(cli)), ...(await trustChecks(cli)), ...(await store(cli))];
  const count = (state: Check["state"]): number => checks.filter((one) => one.state === state).length;
  const sum = `${count("ok")} ok, ${pluralize(count("warn"), "warning")}, ${pluralize(count("fail"), "failure")}\n`;
  const isFailed = count("fail") > 0;
  const text = checks.map((one) => render(cli, one)).join("") + sum;
  return ok({ data: { isHealthy: !isFailed, checks }, text, isFailed });
}

async function acknowledge(cli: Cli): Promise<CommandResult> {
  const answer = await cli.call("notices.acknowledge", {});
  if (!answer.ok) return answer;
  const { acknowledged } = answer.value;
  const lines = acknowledged.map((one) => `${one.text}\n`).join("");
  return ok({ data: answer.value, text: `${lines}${pluralize(acknowledged.length, "notice")} acknowledged.\n` });
}

async function channels(cli: Cli): Promise<Check[]> {
  return channelChecks(cli).catch((error: unknown) => [failedCheck("notifications", error)]);
}

async function store(cli: Cli): Promise<Check[]> {
  try {
    const loaded = await cli.loaded();
    const telemetry = telemetryChecks(cli, loaded.runtime).catch((error: unknown) => [failedCheck("telemetry", error)]);
    return [...storeChecks(loaded), ...(await telemetry)];
  } catch (error) {
    return [failedCheck("store", error)];
  }
}

const colours = { ok: "green", warn: "yellow", fail: "red" } as const;

function render(cli: Cli, { state, name, text, fix }: Check): string {
  const line = `${cli.paint(colours[state], state.padEnd(4))}  ${name}: ${text}\n`;
  return fix === null ? line : `${line}      fix: ${fix}\n`;
}

import type { Command } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import { findServiceObstacle, installService, isInstalled, removeService } from "../../installer/service.ts";
import { serviceState, systemdUnit, unitFile, unitName } from "../../installer/service.ts";
import { ok, fail } from "../../shared/result.ts";
import { notFound } from "../answer.ts";
import { addGroup, type Cli, type CommandResult, requireYes, type CommonOptions } from "../cli.ts";
import { define } from "../operation-command.ts";
import { WorkerInput } from "./worker-input.ts";

export function addCommand(program: Command, cli: Cli): void {
  const command = define(cli, program, "worker", {
    input: WorkerInput,
    summary: "Do tasks, one after another: `shim worker --type test -- npm test`.",
    example: { config: "worker.yaml" },
    rest: "command",
    run: async (input, { json }) => {
      const { runWorker } = await import("./run-worker.ts");
      return runWorker(cli, { ...input, command: [...input.command, ...words] }, json === true);
    },
  });
  const words = keepWordsBehindDashes(command);
  addSupervise(command, cli);
  addService(command, cli);
}

/** For a program `service` behind `--` commander would start the subcommand. */
function keepWordsBehindDashes(command: Command): readonly string[] {
  const words: string[] = [];
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => {
    const dashes = args.indexOf("--");
    const isSubcommand = command.commands.some((one) => one.name() === args[0]);
    if (dashes < 0 || isSubcommand) return parse(args);
    words.push(...args.slice(dashes + 1));
    return parse(args.slice(0, dashes));
  };
  return words;
}

function addSupervise(worker: Command, cli: Cli): void {
  const command = define(cli, worker, "supervise", {
    summary: "Keep programs and chats running, as configured in supervisor.json; status, stop, retry.",
    run: async (_input, options) => (await program()).runSupervisor(cli, options),
  });
  define(cli, command, "status", {
    summary: "The supervisor, and the state of what it watches.",
    run: async () => (await program()).showStatus(cli),
  });
  define(cli, command, "stop", {
    summary: "End the supervisor and all that it runs.",
    run: async () => (await program()).stopRunning(cli),
  });
  define(cli, command, "retry", {
    input: z.strictObject({ name: z.string() }),
    summary: "Restart a program that crashed too often, was stopped or has ended.",
    example: { name: "nightly" },
    args: ["name"],
    run: async ({ name }) => (await program()).retryOne(cli, name),
  });
}

function program(): Promise<typeof import("./run-supervisor.ts")> {
  return import("./run-supervisor.ts");
}

function addService(worker: Command, cli: Cli): void {
  const file = unitFile(cli.io.machine);
  const service = addGroup(worker, "service", "let the system start `shim worker supervise` when you log in");
  define(cli, service, "install", {
    input: z.strictObject({ dryRun: flag("only show the file") }),
    summary: "Write the file that starts it, and start it.",
    example: { dryRun: true },
    asks: true,
    run: ({ dryRun }, options) => runInstall(cli, file, dryRun, options),
  });
  define(cli, service, "status", {
    summary: "Whether it is installed and running.",
    run: () => showState(cli, file),
  });
  define(cli, service, "uninstall", {
    summary: "End it and remove the file; settings and sessions stay.",
    asks: true,
    run: (_input, options) => runUninstall(cli, file, options),
  });
}

async function runInstall(cli: Cli, file: string, isDry: boolean, options: CommonOptions): Promise<CommandResult> {
  const { readSupervisorSettings } = await import("./run-supervisor.ts");
  const { refuseSecondSupervisor } = await import("../../runner/supervisor/supervisor-state.ts");
  const { stopSeconds } = await import("../../runner/supervisor/supervisor-state.ts");
  const settings = readSupervisorSettings(cli);
  if (!settings.ok) return settings;
  const { launch, env } = cli.io;
  const facts = { launch, home: cli.paths.home, path: env["PATH"] ?? "", stopSeconds };
  const text = systemdUnit(facts);
  if (isDry) return ok({ data: { isInstalled: false, path: file, text }, text: `# ${file}\n${text}` });
  const obstacle = (await refuseSecondSupervisor(cli.context)) ?? findServiceObstacle(cli.io, file);
  if (obstacle) return fail(obstacle.code, obstacle.message);
  const refused = await requireYes(cli, `Write ${file} and start the supervisor at each login?`, options);
  if (refused) return refused;
  const installed = installService(cli.io, file, text);
  if (!installed.ok) return installed;
  const written = `${file} is written, and the supervisor is running. \`loginctl enable-linger\` lets it run while you are not logged in.\n`;
  return ok({ data: { isInstalled: true, path: file }, text: written });
}

function showState({ io }: Cli, file: string): CommandResult {
  const found = isInstalled(file);
  if (!found.ok) return found;
  const state = found.value ? serviceState(io) : null;
  const text = found.value
    ? `${file} exists. The service is ${state}. \`shim worker supervise status\` shows what it does, \`journalctl --user --unit ${unitName}\` its log.\n`
    : "Not installed: `shim worker service install`.\n";
  return ok({ data: { isInstalled: found.value, path: file, state }, text });
}

async function runUninstall(cli: Cli, file: string, options: CommonOptions): Promise<CommandResult> {
  const found = isInstalled(file);
  if (!found.ok) return found;
  if (!found.value) return notFound(`${file} does not exist, so there is nothing to remove.`);
  const question = "End the supervisor and all that it runs, and stop starting it at login?";
  const refused = await requireYes(cli, question, options);
  if (refused) return refused;
  const removed = removeService(cli.io, file);
  if (!removed.ok) return removed;
  return ok({ data: { isInstalled: false, path: file }, text: `${file} was removed.\n` });
}

import type { Command } from "commander";
import * as z from "zod";
import { File } from "../../contract/machine/operation.ts";
import type { Cli } from "../cli.ts";
import { defineProgram } from "../operation-command.ts";

const WorkerInput = z.strictObject({
  config: File.optional().describe("task types and how to do them, YAML or JSON"),
  type: z.string().optional().describe("the task type that the command after -- does"),
  folder: z.string().optional().describe("work in this folder itself"),
  repository: z.string().optional().describe("work in worktrees of this repository (default: the current one)"),
  base: z.string().optional().describe("what new worktrees start from (default: HEAD)"),
  remote: z.string().optional().describe("push finished branches to this remote, and fetch missing ones from it"),
  concurrency: z.int().min(1).max(100).optional().describe("tasks at a time (default: 1)"),
  capabilities: z.array(z.string()).optional().describe("also take tasks that need this; may be repeated"),
  once: z.boolean().default(false).describe("exit when no task is available"),
  maxTasks: z.int().min(1).max(1_000_000).optional().describe("exit after this many"),
  drainMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe("how long running tasks may continue after Ctrl-C; 0: release them at once (default: 60000)"),
  command: z.array(z.string()).default([]),
});
export type WorkerInput = z.infer<typeof WorkerInput>;

export function addCommand(program: Command, cli: Cli): void {
  const command = program.command("worker");
  const words = keepWordsBehindDashes(command);
  const summary = "Do tasks, one after another: `shim worker --type test -- npm test`.";
  defineProgram(
    cli,
    command,
    { input: WorkerInput, summary, example: { config: "worker.yaml" }, rest: "command" },
    async (input, { json }) => {
      const { runWorker } = await import("./run-worker.ts");
      return runWorker(cli, { ...input, command: [...input.command, ...words] }, json === true);
    },
  );
  addSupervise(command, cli);
}

/** For a program `supervise` behind `--` commander would start the subcommand. */
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

const input = z.strictObject({});
const RetryInput = z.strictObject({ name: z.string() });

function addSupervise(worker: Command, cli: Cli): void {
  const command = worker.command("supervise");
  const summary = "Keep programs and chats running, as configured in supervisor.json; status, stop, retry.";
  defineProgram(cli, command, { input, summary }, async (_input, options) =>
    (await program()).runSupervisor(cli, options),
  );
  const status = { input, summary: "The supervisor, and the state of what it watches." };
  defineProgram(cli, command.command("status"), status, async () => (await program()).showStatus(cli));
  const stop = { input, summary: "End the supervisor and all that it runs." };
  defineProgram(cli, command.command("stop"), stop, async () => (await program()).stopRunning(cli));
  const retry = {
    input: RetryInput,
    summary: "Restart a program that crashed too often, was stopped or has ended.",
    example: { name: "nightly" },
    args: ["name"],
  };
  defineProgram(cli, command.command("retry"), retry, async ({ name }) => (await program()).retryOne(cli, name));
}

function program(): Promise<typeof import("./run-supervisor.ts")> {
  return import("./run-supervisor.ts");
}

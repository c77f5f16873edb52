import type { Command } from "commander";
import type { Cli, CommonOptions } from "../../cli.ts";

export function addSupervise(worker: Command, cli: Cli): void {
  const command = worker
    .command("supervise")
    .description("keep programs and chats running, as configured in supervisor.json; status, stop, retry");
  cli.define(command, async (options: CommonOptions) => (await program()).runSupervisor(cli, options));
  const status = command.command("status").description("the supervisor, and the state of what it watches");
  cli.define(status, async () => (await program()).showStatus(cli));
  const stop = command.command("stop").description("end the supervisor and all that it runs");
  cli.define(stop, async () => (await program()).stopRunning(cli));
  const retry = command
    .command("retry <name>")
    .description("restart a program that crashed too often, was stopped or has ended");
  cli.define(retry, async (_options: CommonOptions, name: string) => (await program()).retryOne(cli, name));
}

function program(): Promise<typeof import("./run-supervisor.ts")> {
  return import("./run-supervisor.ts");
}

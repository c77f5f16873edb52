import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../../cli.ts";
import { defineProgram } from "../../operation-command.ts";

const input = z.strictObject({});
const RetryInput = z.strictObject({ name: z.string() });

export function addCommand(worker: Command, cli: Cli): void {
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
    args: ["name"],
  };
  defineProgram(cli, command.command("retry"), retry, async ({ name }) => (await program()).retryOne(cli, name));
}

function program(): Promise<typeof import("./run-supervisor.ts")> {
  return import("./run-supervisor.ts");
}

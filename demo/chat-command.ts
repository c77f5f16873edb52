import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { Option, type Command } from "commander";
import { ok } from "../src/shared/result.ts";
import { oneLine } from "../src/shared/format.ts";
import { loadDriver } from "../src/store/open-driver.ts";
import { fail } from "../src/shared/result.ts";
import type { Cli, CommandResult } from "../src/cli/cli.ts";
import { formatChecks, GitMissing } from "./scene.ts";
import { playClient } from "./client.ts";
import { runDemo, type DemoResult } from "./chat-demo.ts";

/** Defines `shim demo`; with `--stand-in` it is the client of one of the demo's chats. */
export function addDemo(program: Command, cli: Cli): void {
  const command = program.command("demo").addOption(new Option("--stand-in").hideHelp());
  cli.define(command, "", ({ standIn }: { readonly standIn?: boolean }) => (standIn ? playStandIn() : showDemo(cli)));
}

async function playStandIn(): Promise<CommandResult> {
  const { stdin: input, stdout: output, env, pid } = process;
  await playClient({ input, output, cwd: process.cwd(), env, pid });
  return ok({ data: null, text: "" });
}

async function showDemo(cli: Cli): Promise<CommandResult> {
  const signal = cli.io.interrupted();
  try {
    const { env, launch, now } = cli.io;
    const { open: driver } = await loadDriver();
    const progress = (text: string): void => cli.progress(text);
    const result = await runDemo({ env, launch, now, driver, newId: randomUUID, progress, signal });
    return ok({ data: result, text: render(cli, result), isFailed: !result.isComplete });
  } catch (error) {
    if (signal.aborted) return fail("interrupted", "interrupted; all that was started has been ended and removed.");
    if (error instanceof GitMissing) return fail("git_missing", error.message);
    throw error;
  }
}

const maxDetail = 100;

function render(cli: Cli, { checks, worked, times, isComplete }: DemoResult): string {
  const lines = checks.map(({ what, isBack, detail }) => {
    const verdict = isBack ? cli.paint("green", "back") : cli.paint("red", "LOST");
    return { what, verdict, detail: oneLine(detail, maxDetail) };
  });
  const missingCount = checks.filter(({ isBack }) => !isBack).length;
  return [
    `A chat was killed in the middle of its work, after ${worked.requests} prompts and ${worked.tools} tool calls. The next chat had of it, before you typed a word:`,
    ...formatChecks(lines),
    "How fast:",
    `  a save                      ${ms(median(times.saves))} (median of ${times.saves.length}, the slowest ${ms(Math.max(...times.saves))})`,
    `  death noticed after         ${ms(times.deathNoticed)}`,
    `  brief ready                 ${ms(times.briefReady)} after the second chat's start`,
    `  saved files back            ${ms(times.filesRestored)}`,
    isComplete ? "Everything came back." : `${missingCount} of ${checks.length} did not come back.`,
    ...teamHint(cli),
    "",
  ].join("\n");
}

/** In a clone `npm run demo` continues with it. */
function teamHint({ io }: Cli): string[] {
  const inClone = join(dirname(io.launch.script), "..", "demo", "main.ts");
  if (io.machine.exists(inClone)) return [];
  return [
    "A team of workers is not shown: Cloudflare's runtime is not part of this package. `npm run demo` in a clone has it.",
  ];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

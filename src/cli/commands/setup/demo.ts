import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { Option, type Command } from "commander";
import { ok } from "../../../shared/result.ts";
import { hookCommand, serverCommand } from "../../../installer/entries.ts";
import { clip } from "../../../shared/format.ts";
import { loadDriver } from "../../../store/open-driver.ts";
import { failed } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { runDemo, type DemoOptions, type DemoResult } from "./demo/demo.ts";
import { GitMissing } from "./demo/scene.ts";
import { standIn } from "./demo/stand-in.ts";

interface DemoCommand extends CommonOptions {
  readonly standIn?: boolean;
}

export function addDemo(program: Command, cli: Cli): void {
  const command = program
    .command("demo")
    .description("a chat that works, is killed and goes on, with real processes in a temporary folder")
    .addOption(new Option("--stand-in").hideHelp());
  cli.define(command, (options: DemoCommand) => (options.standIn ? play() : demo(cli)));
}

async function play(): Promise<CommandResult> {
  await standIn(
    { input: process.stdin, output: process.stdout },
    { cwd: process.cwd(), env: process.env, pid: process.pid },
  );
  return ok({ data: null, text: "" });
}

async function demo(cli: Cli): Promise<CommandResult> {
  const signal = cli.io.interrupted();
  try {
    const result = await runDemo(await readOptions(cli, signal));
    return ok({ data: result, text: render(cli, result), isFailed: !result.isComplete });
  } catch (error) {
    if (signal.aborted) return failed("interrupted", "interrupted; all that was started has been ended and removed.");
    if (error instanceof GitMissing) return failed("git_missing", error.message);
    throw error;
  }
}

async function readOptions(cli: Cli, signal: AbortSignal): Promise<DemoOptions> {
  const { env, launch, now } = cli.io;
  const { open } = await loadDriver();
  return {
    env,
    now,
    driver: open,
    node: launch.node,
    programs: {
      standIn: { command: launch.node, args: [launch.script, "demo", "--stand-in"] },
      server: serverCommand(launch),
      hook: (event) => hookCommand(launch, event),
    },
    newId: randomUUID,
    progress: (text) => cli.progress(text),
    signal,
  };
}

const maxDetail = 140;

function render(cli: Cli, { checks, worked, times, isComplete }: DemoResult): string {
  const width = Math.max(...checks.map(({ what }) => what.length));
  const lines = checks.map(({ what, isBack, detail }) => {
    const word = isBack ? cli.paint("green", "back") : cli.paint("red", "LOST");
    return `  ${word}  ${what.padEnd(width)}  ${clip(detail, maxDetail)}`;
  });
  const missingCount = checks.filter(({ isBack }) => !isBack).length;
  return [
    `The first chat had ${worked.requests} requests and ${worked.tools} tool calls, ${worked.failed} of them failed, when it was killed. The second chat was told:`,
    ...lines,
    "Measured:",
    `  a save through MCP          ${ms(median(times.saves))} (median of ${times.saves.length}, the slowest ${ms(Math.max(...times.saves))})`,
    `  death noticed after         ${ms(times.deathNoticed)}`,
    `  brief ready                 ${ms(times.briefReady)} after the second chat's start`,
    `  files of the snapshot back  ${ms(times.filesRestored)}`,
    isComplete ? "Everything came back." : `${missingCount} of ${checks.length} did not come back.`,
    ...teamHint(cli),
    "",
  ].join("\n");
}

/** [DE7] In a clone `npm run demo` continues with it. */
function teamHint({ io }: Cli): string[] {
  const inClone = join(dirname(io.launch.script), "..", "demo", "main.ts");
  if (io.machine.exists(inClone)) return [];
  return [
    "A team of workers is not shown: Cloudflare's runtime is no part of this package. `npm run demo` in a clone has it.",
  ];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

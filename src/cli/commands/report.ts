import type { Command } from "commander";
import { pluralize } from "../../shared/format.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { durationOption } from "../option-values.ts";

export function addCommand(program: Command, cli: Cli): void {
  const report = define(cli, program, "report", {
    operation: "report.get",
    view: ({ report: text }, shown) => (shown.io.isTty ? terminalText(text, shown) : text),
    isVerbatim: true,
  });
  define(cli, report, "run", {
    operation: "review.run",
    // The process that has started the review may have ended since.
    run: async ({ call, options: { timeLimit } }) => {
      if (typeof timeLimit === "number") setTimeout(() => process.exit(exitCodes.failed), timeLimit).unref();
      return call();
    },
    view: ({ better, moved, started, notes, report: path }) => [
      `${pluralize(better.length, "better value")} found.`,
      ...better.map(({ key, from, to, note }) => `- ${key}: ${from} -> ${to}, ${note}.`),
      ...moved.map(({ id, state }) => `${id}: ${state}.`),
      started && `${started.id}: ${started.key} = ${started.to}, ${started.state}.`,
      ...notes,
      path !== null && `Report: ${path}`,
    ],
  }).option("--time-limit <duration>", "give up after this time (5m)", durationOption);
}

/** Markdown as a terminal shows it; a pipe gets the Markdown itself. */
function terminalText(markdown: string, cli: Cli): string {
  const bold = (text: string): string => cli.paint("bold", text);
  const blocks = markdown
    .trim()
    .split("\n\n")
    .map((block) => {
      if (block.startsWith("| ")) return tableText(block, cli);
      if (block.startsWith("#")) return `${bold(block.replace(/^#+ /, ""))}\n`;
      const lines = block
        .split("\n")
        .map((line) => line.replaceAll(/\*\*([^*]+)\*\*/g, (_, text: string) => bold(text)));
      return `${cli.wrap(lines.join("\n"))}\n`;
    });
  return blocks.join("\n");
}

function tableText(block: string, cli: Cli): string {
  const [head = [], , ...rows] = block.split("\n").map((line) => line.slice(2, -2).split(" | "));
  const columns = head.map((name, at): [string, (row: readonly string[]) => string] => [name, (row) => row[at] ?? ""]);
  return cli.table(rows, Object.fromEntries(columns));
}

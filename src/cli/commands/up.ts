import type { Command } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import type { ClientState } from "../../contract/machine/overview.ts";
import { pluralize } from "../../shared/format.ts";
import { isWithin } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import { wrongWords } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { type Overview, overviewLines, type OverviewStyle } from "../fleet-view.ts";
import { define } from "../operation-command.ts";
import { cutToWidth, rowsOf, wrapLine } from "../screen-text.ts";

const UpInput = z.strictObject({
  once: flag("print once and exit (--json does too)"),
  web: flag("serve the live page for a browser on this machine, and print its address"),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe("with --web: the port (default: a free one, the same each time)"),
});

const redrawMs = 2_000;
/** Connected clients change rarely, and reading their files is slow. */
const clientsPollMs = 30_000;
/** A coordinator on the edge counts requests. */
const teamMaxAgeMs = 10_000;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "up", {
    input: UpInput,
    summary: "Live view of this machine: sessions, risk, what died unfinished, and the team with its tasks and files.",
    example: { web: true },
    run: ({ web, once, port }, { json }) => {
      if (!web) return port === undefined ? up(cli, once || json === true) : wrongWords("--port is for --web.");
      return once ? wrongWords("give --web or --once, not both.") : servePage(cli, port, json === true);
    },
  });
}

/** Serves the live page until Ctrl-C. */
async function servePage(cli: Cli, port: number | undefined, isJson: boolean): Promise<CommandResult> {
  const served = await cli.runner.servePage({
    ...omitUndefined({ port }),
    onLinkNeeded: (link) => cli.io.stdout(`A page needs to sign in: ${link}\n`),
    onProblem: (message) => cli.progress(`A request of the page failed: ${message}`),
  });
  if (!served.ok) return served;
  const { link } = served.value;
  const text = `SHIM's live page, for the next minute, once: ${link}\nCtrl-C ends it.\n`;
  cli.io.stdout(isJson ? `${JSON.stringify({ link })}\n` : text);
  await cli.untilEnd();
  await served.value.close();
  return ok({ data: { isEnded: true }, text: "", isOneLine: true });
}

async function up(cli: Cli, isOnce: boolean): Promise<CommandResult> {
  const first = await read(cli, await readClients(cli));
  if (!first.ok) return first;
  if (isOnce || !cli.io.isTty) return ok({ data: first.value, text: overviewLines(first.value, styleOf(cli)) });
  const { io } = cli;
  io.stdout(sequences.open);
  try {
    await watch(cli, first.value);
  } finally {
    io.stdout(sequences.close);
  }
  return ok({ data: null, text: "" });
}

function styleOf(cli: Cli): OverviewStyle {
  const { paint, io } = cli;
  return { paint, command: () => cli.command, columns: cli.columns, home: io.env["HOME"] ?? "" };
}

async function read(cli: Cli, clients: readonly ClientState[]): Promise<Result<Overview>> {
  const team = await cli.call("team.overview", { maxAgeMs: teamMaxAgeMs });
  if (!team.ok) return team;
  const overview = await cli.call("overview.get", {});
  return overview.ok ? ok({ ...overview.value, clients, team: team.value }) : overview;
}

async function readClients(cli: Cli): Promise<readonly ClientState[]> {
  const listed = await cli.call("clients.list", {});
  return listed.ok ? listed.value.clients : [];
}

/** Draws until Ctrl-C, or until its launcher is gone; what cannot be read is a text. */
async function watch(cli: Cli, first: Overview): Promise<void> {
  const { io } = cli;
  const stop = io.interrupted();
  let { clients } = first;
  let clientsAt = io.now();
  const parent = io.parentPid();
  const isOver = (): boolean => stop.aborted || io.parentPid() !== parent;
  if (isOver()) return;
  io.stdout(pictureOf(cli, overviewLines(first, styleOf(cli))));
  for (;;) {
    await io.wait(redrawMs, stop);
    if (isOver()) return;
    if (!isWithin(io.now() - clientsAt, clientsPollMs)) {
      clients = await readClients(cli);
      clientsAt = io.now();
    }
    const overview = await read(cli, clients);
    io.stdout(pictureOf(cli, overview.ok ? overviewLines(overview.value, styleOf(cli)) : [overview.error.message]));
  }
}

const sequences = {
  open: "\u001b[?1049h\u001b[?25l\u001b[2J",
  close: "\u001b[?25h\u001b[?1049l",
  home: "\u001b[H",
  clearLine: "\u001b[K",
  clearBelow: "\u001b[J",
};

/** Overwrites the old picture line by line, so nothing flickers. */
function pictureOf(cli: Cli, shown: readonly string[]): string {
  const { columns, rows } = cli.io.size();
  const lines = shown.flatMap((line) => wrapLine(cli.verbatim(line), columns));
  let left = Math.max(1, rows - 2);
  const end = lines.findIndex((line) => (left -= rowsOf(line, columns)) < 0);
  const fitting = end < 0 ? lines : lines.slice(0, end);
  const hidden = lines.length - fitting.length;
  const more = hidden > 0 ? ` ${pluralize(hidden, "more line")}: \`shim up --once\` prints all.` : "";
  const footer = cutToWidth(`Ctrl-C ends this view; no chat ends.${more}`, columns);
  const picture = [...fitting, cli.verbatim(cli.paint("dim", footer))];
  return `${sequences.home}${picture.map((line) => `${sequences.clearLine}${line}\n`).join("")}${sequences.clearBelow}`;
}

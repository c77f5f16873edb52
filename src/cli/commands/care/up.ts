import type { Command } from "commander";
import type { ClientState } from "../../../contract/machine/overview.ts";
import { isWithin } from "../../../shared/elapsed.ts";
import { ok } from "../../../shared/result.ts";
import { fromHost, wrongUsage, type CliResult } from "../../answer.ts";
import { countUpTo, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { safeText } from "../../screen-text.ts";
import { localTime } from "../../times.ts";
import { overviewFacts, overviewLines, type Overview, type OverviewStyle } from "./render-overview.ts";

interface UpOptions extends CommonOptions {
  readonly once?: boolean;
  readonly web?: boolean;
  readonly port?: number;
}

const redrawMs = 2_000;
/** Connected clients change rarely, and reading their files is slow. */
const clientsPollMs = 30_000;
/** A coordinator on the edge counts requests. */
const teamMaxAgeMs = 10_000;

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("up")
    .description(
      "live view of this machine: sessions, risk, what died unfinished, and the team with its tasks and files",
    )
    .option("--once", "print once and exit (--json does too)")
    .option("--web", "serve the live page for a browser on this machine, and print its address")
    .option("--port <n>", "with --web: the port (default: a free one, the same each time)", countUpTo(65_535));
  cli.define(command, (options: UpOptions) => view(cli, options));
}

async function view(cli: Cli, options: UpOptions): Promise<CommandResult> {
  const { web, once, port } = options;
  if (web !== true) return port === undefined ? up(cli, options) : wrongUsage("--port is for --web.");
  return once === true ? wrongUsage("give --web or --once, not both.") : servePage(cli, options);
}

/** [WP1] Serves the live page until Ctrl-C. */
async function servePage(cli: Cli, { port, json }: UpOptions): Promise<CommandResult> {
  const served = await cli.host.servePage({
    ...(port === undefined ? {} : { port }),
    onLinkNeeded: (link) => cli.io.stdout(`A page needs to sign in: ${link}\n`),
    onProblem: (message) => cli.progress(`A request of the page failed: ${message}`),
  });
  if (!served.ok) return fromHost(served);
  const { link } = served.value;
  const text = `SHIM's live page, for the next minute, once: ${link}\nCtrl-C ends it.\n`;
  cli.io.stdout(json === true ? `${JSON.stringify({ link })}\n` : text);
  await cli.untilEnd();
  await served.value.close();
  return ok({ data: { isEnded: true }, text: "", isOneLine: true });
}

async function up(cli: Cli, options: UpOptions): Promise<CommandResult> {
  const first = await read(cli, await readClients(cli));
  if (!first.ok) return first;
  const isFresh = !first.value.store.isThere && !cli.io.isTty;
  if (options.once || options.json || isFresh)
    return ok({ data: first.value, text: `${overviewLines(first.value, styleOf(cli)).join("\n")}\n` });
  const stop = cli.io.interrupted();
  if (cli.io.isTty) await redraw(cli, stop);
  else await printChanges(cli, stop);
  return ok({ data: null, text: "" });
}

function styleOf(cli: Cli): OverviewStyle {
  const { paint, command, io } = cli;
  return { paint, command, columns: io.size().columns, home: io.env["HOME"] ?? "", hasAges: true };
}

async function read(cli: Cli, clients: readonly ClientState[]): Promise<CliResult<Overview>> {
  const team = await cli.call("team.overview", { maxAgeMs: teamMaxAgeMs });
  if (!team.ok) return team;
  const overview = await cli.call("overview.get", {});
  return overview.ok ? ok({ ...overview.value, clients, team: team.value }) : overview;
}

async function readClients(cli: Cli): Promise<readonly ClientState[]> {
  const listed = await cli.call("clients.list", {});
  return listed.ok ? listed.value.clients : [];
}

/** [CL134] [CL135] Shows until Ctrl-C, and what cannot be read as a text. */
async function watch(cli: Cli, stop: AbortSignal, show: (overview: Overview | string) => void): Promise<void> {
  let clients: readonly ClientState[] = [];
  let clientsAt = -Infinity;
  const parent = cli.io.parentPid();
  while (!stop.aborted && cli.io.parentPid() === parent) {
    if (!isWithin(cli.io.now() - clientsAt, clientsPollMs)) {
      clients = await readClients(cli);
      clientsAt = cli.io.now();
    }
    const overview = await read(cli, clients);
    show(overview.ok ? overview.value : overview.error.message);
    await cli.io.wait(redrawMs, stop);
  }
}

const sequences = {
  hideCursor: "\u001b[?25l",
  showCursor: "\u001b[?25h",
  home: "\u001b[H",
  clearLine: "\u001b[K",
  clearBelow: "\u001b[J",
};

/** [CL132] Overwrites the old picture line by line, so nothing flickers; cut to the window. */
async function redraw(cli: Cli, stop: AbortSignal): Promise<void> {
  cli.io.stdout(`${sequences.hideCursor}\u001b[2J`);
  try {
    await watch(cli, stop, (overview) => {
      const { columns, rows } = cli.io.size();
      const all = typeof overview === "string" ? [overview] : overviewLines(overview, styleOf(cli));
      const hint = cli.paint("dim", "Ctrl-C ends this view; nothing else.");
      const fitting = [...all.slice(0, Math.max(1, rows - 2)), hint].map((line) =>
        cutLine(cli.verbatim(line), columns),
      );
      cli.io.stdout(
        `${sequences.home}${fitting.map((line) => `${line}${sequences.clearLine}\n`).join("")}${sequences.clearBelow}`,
      );
    });
  } finally {
    cli.io.stdout(sequences.showCursor);
  }
}

/** Cuts to a number of visible characters; colours have no width and are closed. */
function cutLine(line: string, columns: number): string {
  // eslint-disable-next-line no-control-regex -- ESC begins a colour
  const pieces = line.split(/(\u001b\[[\d;]*m)/);
  let room = columns;
  const keptPieces = pieces.map((piece) => {
    if (piece.startsWith("\u001b")) return piece;
    const part = piece.slice(0, Math.max(0, room));
    room -= piece.length;
    return part;
  });
  return keptPieces.join("");
}

async function printChanges(cli: Cli, stop: AbortSignal): Promise<void> {
  const style: OverviewStyle = { ...styleOf(cli), paint: (_format, text) => text, columns: 200 };
  let previous: ReadonlyMap<string, string> | null = null;
  await watch(cli, stop, (overview) => {
    const facts = typeof overview === "string" ? new Map([["store", overview]]) : overviewFacts(overview, style);
    const changed = [...facts].filter(([key, text]) => previous?.get(key) !== text).map(([, text]) => text);
    const gone = [...(previous?.keys() ?? [])].filter((key) => !facts.has(key)).map((key) => `${key} is gone`);
    const opening =
      previous === null && typeof overview !== "string" && facts.size === 0 ? overviewLines(overview, style) : [];
    const at = previous === null ? "" : `${localTime(cli.io.now())} `;
    for (const text of [...opening, ...changed, ...gone]) cli.io.stdout(safeText(`${at}${text}\n`));
    previous = facts;
  });
}

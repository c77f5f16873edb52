import type { Command } from "commander";
import { ok } from "../../../shared/result.ts";
import type { ClientState } from "../../../contract/machine/overview.ts";
import { countUpTo, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { wrongUsage } from "../../answer.ts";
import { readOverview, type Overview, TeamReader, type TeamOverview } from "./overview.ts";
import { overviewFacts, overviewLines, type OverviewStyle } from "./render-overview.ts";
import { safeText } from "../../screen-text.ts";
import { localTime } from "../../times.ts";
import { isWithin } from "../../../shared/elapsed.ts";
import { servePage } from "../web/serve-page.ts";

interface UpOptions extends CommonOptions {
  readonly once?: boolean;
  readonly web?: boolean;
  readonly port?: number;
}

const redrawMs = 2_000;
/** Connected clients change rarely, and reading their files is slow. */
const clientsPollMs = 30_000;
/** A coordinator on the edge counts requests. */
const edgePollMs = 10_000;

export function addUp(program: Command, cli: Cli): void {
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

async function up(cli: Cli, options: UpOptions): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const style = (): OverviewStyle => ({
    paint: cli.paint,
    columns: cli.io.size().columns,
    home: cli.io.env["HOME"] ?? "",
    command: cli.command,
  });
  const team = new TeamReader(cli, runtime);
  try {
    const overview = await readOverview(cli, await readClients(cli), await team.read());
    if (!overview.ok) return overview;
    const first = overview.value;
    const isFresh = !first.store.isThere && !cli.io.isTty;
    if (options.once || options.json || isFresh)
      return ok({ data: first, text: `${overviewLines(first, style()).join("\n")}\n` });
    const stop = cli.io.interrupted();
    if (cli.io.isTty) await redraw({ cli, team }, style, stop);
    else await printChanges({ cli, team }, stop);
    return ok({ data: null, text: "" });
  } finally {
    team.close();
  }
}

interface UpView {
  readonly cli: Cli;
  readonly team: TeamReader;
}

/** Ends at Ctrl-C, and when the launcher is gone: a killed launcher forwards no signal. */
async function watch(
  { cli, team }: UpView,
  stop: AbortSignal,
  show: (overview: Overview | string) => void,
): Promise<void> {
  let clients: readonly ClientState[] = [];
  let clientsAt = -Infinity;
  let known: TeamOverview | null = null;
  let knownAt = -Infinity;
  const parent = cli.io.parentPid();
  while (!stop.aborted && cli.io.parentPid() === parent) {
    if (!isWithin(cli.io.now() - clientsAt, clientsPollMs)) {
      clients = await readClients(cli);
      clientsAt = cli.io.now();
    }
    if (!known || !isWithin(cli.io.now() - knownAt, known.isEdge ? edgePollMs : 0)) {
      known = await team.read();
      knownAt = cli.io.now();
    }
    const overview = await readOverview(cli, clients, known);
    show(overview.ok ? overview.value : overview.error.message);
    await cli.io.wait(redrawMs, stop);
  }
}

async function readClients(cli: Cli): Promise<readonly ClientState[]> {
  const listed = await cli.call("clients.list", {});
  return listed.ok ? listed.value.clients : [];
}

const sequences = {
  hideCursor: "\u001b[?25l",
  showCursor: "\u001b[?25h",
  home: "\u001b[H",
  clearLine: "\u001b[K",
  clearBelow: "\u001b[J",
};

/** [CL132] Overwrites the old picture line by line, so nothing flickers; cut to the window. */
async function redraw(view: UpView, style: () => OverviewStyle, stop: AbortSignal): Promise<void> {
  const { cli } = view;
  cli.io.stdout(`${sequences.hideCursor}\u001b[2J`);
  try {
    await watch(view, stop, (overview) => {
      const { columns, rows } = cli.io.size();
      const all = typeof overview === "string" ? [overview] : overviewLines(overview, style());
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

async function printChanges(view: UpView, stop: AbortSignal): Promise<void> {
  const { cli } = view;
  let previousFacts = new Map<string, string>();
  let isFirst = true;
  await watch(view, stop, (overview) => {
    const currentFacts =
      typeof overview === "string" ? new Map([["store", overview]]) : overviewFacts(overview, cli.command);
    const at = isFirst ? "" : `${localTime(cli.io.now())} `;
    const changedLines = [...currentFacts]
      .filter(([key, text]) => previousFacts.get(key) !== text)
      .map(([, text]) => text);
    const gone = [...previousFacts.keys()].filter((key) => !currentFacts.has(key)).map((key) => `${key} is gone`);
    const plain: OverviewStyle = { paint: (_format, text) => text, columns: 200, home: "", command: cli.command };
    const opening =
      isFirst && typeof overview !== "string" && currentFacts.size === 0 ? overviewLines(overview, plain) : [];
    for (const text of [...opening, ...changedLines, ...gone]) cli.io.stdout(safeText(`${at}${text}\n`));
    previousFacts = currentFacts;
    isFirst = false;
  });
}

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
import { emptyFleet, type FleetAction, type FleetState, keysIn, press, withChats } from "../fleet-keys.ts";
import { type Block, chatsOf, type Overview, overviewBlocks, type OverviewStyle } from "../fleet-view.ts";
import { define } from "../operation-command.ts";
import { cutToWidth, windowOf, wrapLine } from "../screen-text.ts";

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
  if (isOnce || !cli.io.isTty) {
    const blocks = overviewBlocks(first.value, styleOf(cli), null);
    return ok({ data: first.value, text: blocks.flatMap(({ lines }) => lines) });
  }
  const action = await showFleet(cli, first.value);
  if (action.does === "leave") return ok({ data: null, text: "" });
  const { session } = action;
  if (action.does === "resume") return (await import("./resume.ts")).resume(cli, { session });
  return (await import("./undo.ts")).undoNewest(cli, session);
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

/** Shows until it is stopped, or its launcher is gone; what cannot be read is a text. */
async function watch(
  { cli, first, stop }: { readonly cli: Cli; readonly first: Overview; readonly stop: AbortSignal },
  show: (overview: Overview | string) => void,
): Promise<void> {
  const { io } = cli;
  let { clients } = first;
  let clientsAt = io.now();
  const parent = io.parentPid();
  const isOver = (): boolean => stop.aborted || io.parentPid() !== parent;
  if (isOver()) return;
  show(first);
  for (;;) {
    await io.wait(redrawMs, stop);
    if (isOver()) return;
    if (!isWithin(io.now() - clientsAt, clientsPollMs)) {
      clients = await readClients(cli);
      clientsAt = io.now();
    }
    const overview = await read(cli, clients);
    show(overview.ok ? overview.value : overview.error.message);
  }
}

const sequences = {
  open: "\u001b[?1049h\u001b[?25l\u001b[2J",
  close: "\u001b[?25h\u001b[?1049l",
  home: "\u001b[H",
  clearLine: "\u001b[K",
  clearBelow: "\u001b[J",
};

/** Shows the fleet until a key ends it, or a signal; then the terminal is as it was. */
async function showFleet(cli: Cli, first: Overview): Promise<FleetAction> {
  const { io } = cli;
  const stop = io.interrupted();
  const closed = new AbortController();
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<FleetAction>();
  let shown: Overview | string = first;
  let state = emptyFleet;
  const draw = (): void => {
    if (!closed.signal.aborted) io.stdout(pictureOf(cli, shown, state));
  };
  // An error of a listener would end the process, and leave the terminal as it is.
  const guarded =
    <Args extends readonly unknown[]>(body: (...args: Args) => void) =>
    (...args: Args): void => {
      try {
        body(...args);
      } catch (error) {
        fail(error);
      }
    };
  const pressAll = (text: string): void => {
    for (const key of keysIn(text)) {
      const next = press(state, key);
      if ("does" in next) return end(next);
      state = next;
    }
    draw();
  };
  stop.addEventListener("abort", () => end({ does: "leave" }));
  const subscriptions: (() => void)[] = [];
  io.stdout(sequences.open);
  try {
    subscriptions.push(io.onKeys(guarded(pressAll)), io.onResize(guarded(draw)));
    const watched = watch({ cli, first, stop: AbortSignal.any([stop, closed.signal]) }, (overview) => {
      shown = overview;
      if (typeof overview !== "string") state = withChats(state, chatsOf(overview));
      draw();
    });
    return await Promise.race([ended, watched.then((): FleetAction => ({ does: "leave" }))]);
  } finally {
    closed.abort();
    for (const unsubscribe of subscriptions) unsubscribe();
    io.stdout(sequences.close);
  }
}

/** Overwrites the old picture line by line, so nothing flickers. */
function pictureOf(cli: Cli, shown: Overview | string, state: FleetState): string {
  const { io, paint } = cli;
  const { columns, rows } = io.size();
  const selected = io.isInteractive ? state.selected : null;
  const lines: string[] = [];
  let range = { from: 0, to: 0 };
  for (const block of blocksOf(cli, shown, state.isHelp, selected)) {
    const from = lines.length;
    for (const line of block.lines) lines.push(...wrapLine(cli.verbatim(line), columns));
    if (selected !== null && block.chat === selected) range = { from, to: lines.length };
  }
  const fitting = windowOf(lines, range, { columns, rows: Math.max(1, rows - 2) });
  const hint = cutToWidth(footer(io.isInteractive, lines.length - fitting.length, state), columns);
  const picture = [...fitting, cli.verbatim(paint(state.note === null ? "dim" : "yellow", hint))];
  return `${sequences.home}${picture.map((line) => `${sequences.clearLine}${line}\n`).join("")}${sequences.clearBelow}`;
}

function blocksOf(cli: Cli, shown: Overview | string, isHelp: boolean, selected: string | null): readonly Block[] {
  if (isHelp) return [{ lines: helpLines, chat: null }];
  return typeof shown === "string" ? [{ lines: [shown], chat: null }] : overviewBlocks(shown, styleOf(cli), selected);
}

const helpLines = [
  "Keys",
  "",
  "  Down, j    select the next chat",
  "  Up, k      select the one before",
  "  Enter      leave, and resume the selected chat: shim resume",
  "  u          leave, and take back its last changes of files: shim undo, which asks first",
  "  ?          show or close this help",
  "  q, Ctrl-C  leave; no chat ends",
];

function footer(hasKeys: boolean, hidden: number, { note, isHelp }: FleetState): string {
  if (!hasKeys) return "Ctrl-C ends this view; nothing else.";
  if (isHelp) return "Any key closes this help.";
  const more = hidden > 0 ? `, ${pluralize(hidden, "more line")}` : "";
  return note ?? `Enter: resume, u: undo, ?: help, q: leave${more}`;
}

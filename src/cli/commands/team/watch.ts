import { oneLine } from "../../../shared/format.ts";
import type { Command } from "commander";
import type { Change } from "../../../contract/state.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import { revision, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import type { FollowedChanges, Workspace } from "../../../local-mcp/host/host.ts";
import { safeText, safeJsonLine } from "../../screen-text.ts";

interface Options extends CommonOptions {
  readonly from?: number;
  readonly once?: boolean;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("watch [prefix]")
    .description("show changes of state, chats ($chat/) and leaders ($leader/) as they happen")
    .option("--from <revision>", "start after this revision (default: now)", revision)
    .option("--once", "print the changes made so far and exit");
  cli.define(command, (options: Options, prefix = "") =>
    cli.withWorkspace(async (link) => {
      const start = await findStartRevision(link, options.from);
      if (!start.ok) return start;
      const watch = { prefix, after: start.value };
      return options.once ? showOnce(cli, link, watch, options) : follow(cli, link, watch, options);
    }),
  );
}

interface WatchStart {
  readonly prefix: string;
  readonly after: number;
}

async function showOnce(cli: Cli, link: Workspace, start: WatchStart, options: Options): Promise<CommandResult> {
  let count = 0;
  for (let { after } = start; ;) {
    const pulled = await link.call("state.changes", { prefix: start.prefix, after, limit: 500 });
    if (!pulled.ok) return pulled;
    show(cli, options, pulled.value.changes);
    count += pulled.value.changes.length;
    after = pulled.value.revision;
    if (!pulled.value.isMore) return endAnswer(after, count === 0 ? `no change after revision ${after}\n` : "");
  }
}

/** [CL31] Follows over all interruptions; ends with Ctrl-C, or on a final error. */
async function follow(cli: Cli, link: Workspace, start: WatchStart, options: Options): Promise<CommandResult> {
  let { after } = start;
  const onTrouble = (text: string): void => cli.progress(text);
  const ended = await link.watch(start, cli.io.interrupted(), onTrouble, (event) => {
    if (event.type === "changes") show(cli, options, event.changes);
    else showAll(cli, options, event);
    after = event.revision;
  });
  return ended.ok ? endAnswer(after) : ended;
}

function endAnswer(revision: number, text = ""): CommandResult {
  return ok({ data: { revision }, text, isOneLine: true });
}

async function findStartRevision(link: Workspace, from: number | undefined): Promise<CliResult<number>> {
  if (from === undefined) {
    const listed = await link.call("state.list", { limit: 1 });
    return listed.ok ? ok(listed.value.revision) : listed;
  }
  // A revision that is no longer kept is refused, not skipped.
  const asked = await link.call("state.changes", { after: from, limit: 1 });
  return asked.ok ? ok(from) : asked;
}

function show(cli: Cli, { json }: Options, changes: readonly Change[]): void {
  for (const change of changes) cli.io.stdout(json ? `${safeJsonLine(change)}\n` : safeText(formatChange(change)));
}

/** After a long disconnection the changes are no longer kept. */
function showAll(
  cli: Cli,
  { json }: Options,
  { entries, revision: at }: Extract<FollowedChanges, { type: "snapshot" }>,
): void {
  if (json) return cli.io.stdout(`${safeJsonLine({ snapshot: entries, revision: at })}\n`);
  cli.io.stdout(`${at}  the changes since then are no longer kept; the current state:\n`);
  for (const { key, version, value } of entries) {
    cli.io.stdout(safeText(`${version}  is  ${oneLine(key, 200)}  ${oneLine(JSON.stringify(value), 200)}\n`));
  }
}

function formatChange({ revision: at, op, key, value }: Change): string {
  return `${at}  ${op}  ${oneLine(key, 200)}${op === "set" ? `  ${oneLine(JSON.stringify(value), 200)}` : ""}\n`;
}

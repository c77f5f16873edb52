import type { Command } from "commander";
import { stateText } from "../../../contract/chat-state.ts";
import { clientTitle } from "../../../clients/client-title.ts";
import { readContent } from "../../../local-mcp/sessions/session-content.ts";
import type { Session } from "../../../local-mcp/sessions/sessions.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { ok } from "../../../shared/result.ts";
import { limitOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { findSessionOrCheckpoint } from "../../resolve-id.ts";
import { localTime } from "../../times.ts";
import { checkpointsOf, showCheckpoint } from "./checkpoints.ts";
import { toSessionView } from "./session-view.ts";
import { showStored } from "./sessions.ts";
import { timeline, type TimelineEntry } from "./timeline.ts";

interface ShowOptions extends CommonOptions {
  readonly stored?: boolean;
  readonly limit?: number;
}

export function addSessionShow(parent: Command, cli: Cli): void {
  const command = parent
    .command("show <id>")
    .description("what happened in a session, then its checkpoints; of a checkpoint the whole state")
    .option("--stored", "everything that is stored about the session, in full")
    .addOption(limitOption(20, "at most this many checkpoints"));
  cli.define(command, (options: ShowOptions, id: string) => show(cli, options, id));
}

/** [CL273] */
async function show(cli: Cli, { stored, limit }: ShowOptions, id: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const found = findSessionOrCheckpoint(runtime, id);
  if (!found.ok) return found;
  const { session, checkpoint } = found.value;
  if (checkpoint) return showCheckpoint(cli, runtime, checkpoint);
  return stored === true ? showStored(cli, runtime, session) : showSession(cli, runtime, session, limit);
}

function showSession(cli: Cli, runtime: Runtime, session: Session, limit: number | undefined): CommandResult {
  const now = runtime.store.read(
    (sql) => ({ stored: readContent(sql, session.id), view: toSessionView(sql, runtime, session) }),
    null,
  );
  if (!now) throw new Error(`session ${session.id} was deleted meanwhile`);
  const entries = timeline(now.stored);
  const { causeDetail, title } = now.view;
  const verdict = `${stateText(now.view)}${causeDetail === null ? "" : `. ${causeDetail}`}`;
  const { checkpoints, text: checkpointText } = checkpointsOf(cli, runtime, session.id, limit);
  const text = [
    `${session.id} (${title ?? "untitled"}, ${clientTitle(session)})`,
    verdict,
    "",
    ...entries.map((entry) => formatLine(cli, entry)),
    "",
    checkpointText,
  ].join("\n");
  return ok({ data: { session: now.view, timeline: entries, checkpoints }, text, isVerbatim: true });
}

const colours: Partial<Record<TimelineEntry["source"], "green" | "red" | "cyan" | "yellow">> = {
  checkpoint: "green",
  crash: "red",
  recovery: "cyan",
  signal: "yellow",
};

function formatLine(cli: Cli, entry: TimelineEntry): string {
  const source = entry.source.padEnd(10);
  const colour = colours[entry.source];
  return `${localTime(entry.at)}  ${colour ? cli.paint(colour, source) : source}  ${entry.text.replaceAll(/\s+/g, " ")}`;
}

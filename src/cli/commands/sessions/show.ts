import type { Command } from "commander";
import { clientTitle } from "../../../clients/client-title.ts";
import { stateText } from "../../../contract/chat-state.ts";
import type { TimelineEntry } from "../../../contract/machine/sessions.ts";
import { ok } from "../../../shared/result.ts";
import { limitOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { localTime } from "../../times.ts";
import { checkpointsText, showCheckpoint } from "./checkpoints.ts";
import { storedView } from "./stored.ts";

interface ShowOptions extends CommonOptions {
  readonly stored?: boolean;
  readonly limit?: number;
}

export function addCommand(parent: Command, cli: Cli): void {
  const command = parent
    .command("show <id>")
    .description("what happened in a session, then its checkpoints; of a checkpoint the whole state")
    .option("--stored", "everything that is stored about the session, in full")
    .addOption(limitOption(20, "at most this many checkpoints"));
  cli.define(command, (options: ShowOptions, id: string) => show(cli, options, id));
}

/** [CL273] */
async function show(cli: Cli, { stored, limit }: ShowOptions, given: string): Promise<CommandResult> {
  const found = await cli.call("sessions.find", { id: given });
  if (!found.ok) return found;
  const { kind, id } = found.value;
  if (kind === "checkpoint") return showCheckpoint(cli, id);
  if (stored !== true) return showSession(cli, id, limit);
  const answer = await cli.call("sessions.stored", { session: id });
  return answer.ok
    ? ok({ data: answer.value, text: storedView(answer.value, cli, { session: id }), isVerbatim: true })
    : answer;
}

async function showSession(cli: Cli, id: string, limit: number | undefined): Promise<CommandResult> {
  const answer = await cli.call("sessions.show", { session: id, ...(limit === undefined ? {} : { limit }) });
  if (!answer.ok) return answer;
  const { session, timeline, checkpoints, total } = answer.value;
  const { causeDetail, title } = session;
  const verdict = `${stateText(session)}${causeDetail === null ? "" : `. ${causeDetail}`}`;
  const text = [
    `${session.id} (${title ?? "untitled"}, ${clientTitle(session)})`,
    verdict,
    "",
    ...timeline.map((entry) => formatLine(cli, entry)),
    "",
    checkpointsText(cli, checkpoints, total),
  ].join("\n");
  return ok({ data: answer.value, text, isVerbatim: true });
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

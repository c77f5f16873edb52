import { clientTitle } from "../../../clients/client-title.ts";
import type { Command } from "commander";
import { stateText } from "../../../contract/chat-state.ts";
import { ok } from "../../../shared/result.ts";
import { readContent } from "../../../local-mcp/sessions/session-content.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { explainTask } from "./explain-task.ts";
import { findSession } from "../../resolve-id.ts";
import { toSessionView } from "../sessions/session-view.ts";
import { localTime } from "../../times.ts";
import { withTask } from "./task.ts";
import { timeline, type TimelineEntry } from "../sessions/timeline.ts";

export function addExplain(program: Command, cli: Cli): void {
  const command = program
    .command("explain <session|task>")
    .description("what happened in a session, as one timeline; why a task is in its state (a number is a task)");
  cli.define(command, (_options: CommonOptions, name: string) =>
    /^\d+$/.test(name) ? withTask(cli, name, (link, task) => explainTask(cli, link, task)) : explain(cli, name),
  );
}

async function explain(cli: Cli, id: string): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const found = findSession(runtime, id);
  if (!found.ok) return found;
  const session = found.value;
  const now = runtime.store.read(
    (sql) => ({ stored: readContent(sql, session.id), view: toSessionView(sql, runtime, session) }),
    null,
  );
  if (!now) throw new Error(`session ${session.id} was deleted meanwhile`);
  const entries = timeline(now.stored);
  const { causeDetail, title } = now.view;
  const verdict = `${stateText(now.view)}${causeDetail === null ? "" : `. ${causeDetail}`}`;
  const text = [
    `${session.id} (${title ?? "untitled"}, ${clientTitle(session)})`,
    verdict,
    "",
    ...entries.map((entry) => formatLine(cli, entry)),
    "",
  ].join("\n");
  return ok({ data: { session: now.view, timeline: entries }, text, isVerbatim: true });
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

import { oneLine } from "../../../shared/format.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as journal from "../journal.ts";
import type { JournalRow } from "../journal.ts";
import * as sessions from "../sessions.ts";
import { displayTitle, type Session } from "../sessions.ts";
import { clientTitle } from "../../../clients/adapters.ts";
import type { WorkState } from "../../../contract/work-state.ts";
import { lastRequest } from "../work-state.ts";
import type { JournalEntry } from "../../../contract/journal.ts";

/** A session as Markdown, for a person to read; null for an unknown one. */
export function sessionDocument(runtime: Runtime, id: string): string | null {
  return runtime.store.read((sql) => {
    const session = sessions.get(sql, id);
    if (!session) return null;
    const rows: JournalRow[] = [];
    for (let page = journal.list(sql, id, 0); page.length > 0; page = journal.list(sql, id, rows.at(-1)?.seq ?? 0))
      rows.push(...page);
    return toMarkdown(session, currentState(sql, id), rows);
  }, null);
}

function toMarkdown(session: Session, state: WorkState | null, rows: readonly JournalRow[]): string {
  const facts = [
    `- Session: \`${session.id}\``,
    `- Client: ${clientTitle(session)}${session.model === null ? "" : `, model ${session.model}`}`,
    `- Project: ${session.project ?? "none"}`,
    `- From ${time(session.startedAt)} to ${time(session.lastSeenAt)}`,
    `- ${endOf(session)}`,
  ];
  const entries = rows.flatMap(entryLines);
  const conversation = entries.length > 0 ? entries : ["Nothing of it is kept any more."];
  return `${[
    `# ${oneLine(displayTitle(session) ?? "Untitled session")}`,
    facts.join("\n"),
    ...(state ? stateSections(state) : []),
    "## Conversation",
    ...conversation,
  ].join("\n\n")}\n`;
}

function endOf({ ending }: Session): string {
  if (ending?.how === "ended") return `Ended ${time(ending.at)}: ${ending.reason}`;
  if (!ending?.isSettled) return "Not ended";
  return `${ending.how === "closed" ? "Closed" : "Died"} ${time(ending.at)}`;
}

function stateSections(state: WorkState): string[] {
  return [
    section("Goal", [state.goal ?? lastRequest(state)?.text ?? ""]),
    section("Decisions", state.decisions),
    section("Done", state.done),
    section("In progress", state.inProgress),
    section("Next step", [state.nextStep ?? ""]),
    section("Open questions", state.openQuestions),
    section(
      "Files",
      state.files.map(({ path, action }) => `\`${path}\` (${action})`),
    ),
  ].flat();
}

function section(title: string, items: readonly string[]): string[] {
  const lines = items.filter((item) => item.trim() !== "").map((item) => `- ${oneLine(item)}`);
  return lines.length === 0 ? [] : [`## ${title}`, lines.join("\n")];
}

function entryLines({ at, entry }: JournalRow): string[] {
  const said = saidBy(entry);
  if (said) return [`### ${speakers[said.by]}, ${time(at)}`, quote(said.text)];
  if (entry.kind === "tool_end") return [`- ${entry.name}: ${code(entry.input)}`];
  if (entry.kind === "tool_error") return [`- ${entry.name} failed: ${code(entry.input)}`, quote(entry.text)];
  return [];
}

const speakers = {
  user: "User",
  assistant: "Assistant",
  compaction: "Summary of a compaction",
  failure: "Failure",
} as const satisfies Record<Said["by"], string>;

/** A quotation keeps the text's own headings out of the document's. */
function quote(text: string): string {
  return text
    .trim()
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");
}

/** A code span that holds backticks needs a longer fence (CommonMark 0.31, 6.1). */
function code(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`;
}

function time(at: number): string {
  return new Date(at).toISOString().replace("T", " ").slice(0, 19);
}

interface Said {
  readonly by: "user" | "assistant" | "compaction" | "failure";
  readonly text: string;
}

const saidKinds: Partial<Record<JournalEntry["kind"], Said["by"]>> = {
  prompt: "user",
  assistant: "assistant",
  compacted: "compaction",
  failure: "failure",
};

/** Returns null for an entry without a text of the conversation. */
function saidBy(entry: JournalEntry): Said | null {
  const by = saidKinds[entry.kind];
  const text = "text" in entry ? entry.text : entry.kind === "compacted" ? entry.summary || null : null;
  return by === undefined || text === null ? null : { by, text };
}

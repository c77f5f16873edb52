import { clientTitle } from "../../clients/adapters.ts";
import type { WorkState } from "../../contract/work-state.ts";
import type { JournalRow } from "../sessions/journal.ts";
import { lastRequest } from "../sessions/prompts.ts";
import { type Session, displayTitle } from "../sessions/sessions.ts";
import { type Said, saidBy } from "./said.ts";

/** Pure. [PO1] A session for a person to read. */
export function toMarkdown(session: Session, state: WorkState | null, rows: readonly JournalRow[]): string {
  const facts = [
    `- Session: \`${session.id}\``,
    `- Client: ${clientTitle(session)}${session.model === null ? "" : `, model ${session.model}`}`,
    `- Project: ${session.project ?? "none"}`,
    `- From ${time(session.startedAt)} to ${time(session.lastSeenAt)}`,
    `- ${endOf(session)}`,
  ];
  const entries = rows.flatMap((row) => entryLines(row));
  const conversation = entries.length > 0 ? entries : ["Nothing of it is kept any more."];
  return `${[
    `# ${heading(displayTitle(session) ?? "Untitled session")}`,
    facts.join("\n"),
    ...(state ? stateSections(state) : []),
    "## Conversation",
    ...conversation,
  ].join("\n\n")}\n`;
}

function endOf({ endedAt, endReason, deathAt }: Session): string {
  if (endedAt !== null) return `Ended ${time(endedAt)}: ${endReason ?? "unknown"}`;
  return deathAt === null ? "Not ended" : `Died ${time(deathAt)}`;
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
  const lines = items.filter((item) => item.trim() !== "").map((item) => `- ${item.replaceAll(/\s+/g, " ")}`);
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

function heading(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

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

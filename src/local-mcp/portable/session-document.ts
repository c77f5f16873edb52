import type { Sql } from "../../shared/sql.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as journal from "../sessions/journal.ts";
import type { JournalRow } from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { clientTitle } from "../../clients/adapters.ts";
import type { WorkState } from "../../contract/work-state.ts";
import { lastRequest } from "../sessions/work-state.ts";
import type { JournalEntry } from "../../contract/journal.ts";

type DocumentFormat = "markdown" | "atif";

/** Returns null for an unknown session. */
export function sessionDocument(runtime: Runtime, id: string, format: DocumentFormat): string | null {
  return runtime.store.read((sql) => {
    const session = sessions.get(sql, id);
    if (!session) return null;
    const rows: JournalRow[] = [];
    for (let page = journal.list(sql, id, 0); page.length > 0; page = journal.list(sql, id, rows.at(-1)?.seq ?? 0))
      rows.push(...page);
    if (format === "markdown") return toMarkdown(session, currentState(sql, id), rows);
    return `${JSON.stringify(toTrajectory(session, rows, usageOf(sql, id)), null, 2)}\n`;
  }, null);
}

/** Empty where no response was counted. */
function usageOf(sql: Sql, id: string): Omit<FinalMetrics, "total_steps"> {
  const [sums] = sql.all<{ prompt: number | null; completion: number | null; cached: number | null }>(
    `SELECT sum(input + cacheRead + cacheWrite) AS prompt, sum(output) AS completion, sum(cacheRead) AS cached
     FROM usage_messages WHERE session = ?`,
    id,
  );
  return omitUndefined({
    total_prompt_tokens: sums?.prompt ?? undefined,
    total_completion_tokens: sums?.completion ?? undefined,
    total_cached_tokens: sums?.cached ?? undefined,
  });
}

/** Pure. [PO1] A session for a person to read. */
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
    `# ${(displayTitle(session) ?? "Untitled session").replaceAll(/\s+/g, " ")}`,
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

/** Agent Trajectory Interchange Format 1.7 (Harbor, RFC 0001): the fields that SHIM can fill. */
export interface Trajectory {
  readonly schema_version: "ATIF-v1.7";
  readonly session_id: string;
  readonly agent: { readonly name: string; readonly version: string; readonly model_name?: string };
  readonly notes: string;
  readonly steps: readonly Step[];
  readonly final_metrics: FinalMetrics;
}

interface FinalMetrics {
  readonly total_prompt_tokens?: number;
  readonly total_completion_tokens?: number;
  readonly total_cached_tokens?: number;
  readonly total_steps: number;
}

interface Step {
  readonly step_id: number;
  readonly timestamp: string;
  readonly source: "system" | "user" | "agent";
  readonly message: string;
  tool_calls?: ToolCall[];
  observation?: { readonly results: ToolResult[] };
}

interface ToolCall {
  readonly tool_call_id: string;
  readonly function_name: string;
  readonly arguments: { readonly summary: string };
}

interface ToolResult {
  readonly source_call_id: string;
  readonly content?: string;
  readonly extra: Readonly<Record<string, unknown>>;
}

const notes =
  "Written by SHIM from its journal. Secrets are removed and long texts are cut. Arguments are a summary of one line; of results only errors are kept.";

/** Pure. [PO2] */
function toTrajectory(
  session: Pick<Session, "id" | "client" | "clientVersion" | "model">,
  rows: readonly JournalRow[],
  usage: Omit<FinalMetrics, "total_steps">,
): Trajectory {
  const steps = stepsOf(rows);
  const model = session.model === null ? {} : { model_name: session.model };
  return {
    schema_version: "ATIF-v1.7",
    session_id: session.id,
    agent: { name: session.client, version: session.clientVersion ?? "unknown", ...model },
    notes,
    steps,
    final_metrics: { ...usage, total_steps: steps.length },
  };
}

type Tool = Extract<JournalEntry, { kind: "tool_start" | "tool_end" | "tool_error" }>;

const sources = {
  user: "user",
  assistant: "agent",
  compaction: "system",
  failure: "system",
} as const satisfies Record<Said["by"], Step["source"]>;

/** A call is part of the answer before it; its end belongs to the step of its start. */
function stepsOf(rows: readonly JournalRow[]): Step[] {
  const steps: Step[] = [];
  const add = (at: number, source: Step["source"], message: string): Step => {
    const step = { step_id: steps.length + 1, timestamp: new Date(at).toISOString(), source, message };
    steps.push(step);
    return step;
  };
  const callSteps = new Map<string, Step>();
  for (const { at, entry } of rows) {
    const said = saidBy(entry);
    if (said) add(at, sources[said.by], said.text);
    if (said || !isTool(entry)) continue;
    const last = steps.at(-1);
    const step = callSteps.get(entry.id) ?? (last?.source === "agent" ? last : add(at, "agent", ""));
    const call = { tool_call_id: entry.id, function_name: entry.name, arguments: { summary: entry.input } };
    if (!callSteps.has(entry.id)) (step.tool_calls ??= []).push(call);
    callSteps.set(entry.id, step);
    if (entry.kind !== "tool_start") (step.observation ??= { results: [] }).results.push(resultOf(entry));
  }
  return steps;
}

function isTool(entry: JournalEntry): entry is Tool {
  return entry.kind === "tool_start" || entry.kind === "tool_end" || entry.kind === "tool_error";
}

function resultOf(entry: Exclude<Tool, { kind: "tool_start" }>): ToolResult {
  const duration = entry.durationMs === undefined ? {} : { durationMs: entry.durationMs };
  if (entry.kind === "tool_error")
    return { source_call_id: entry.id, content: entry.text, extra: { isError: true, ...duration } };
  const file = entry.path === undefined ? {} : { path: entry.path, action: entry.action };
  return { source_call_id: entry.id, extra: { ...duration, ...file } };
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

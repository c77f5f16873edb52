import type { JournalEntry } from "../../contract/journal.ts";
import type { JournalRow } from "../sessions/journal.ts";
import type { Session } from "../sessions/sessions.ts";
import { saidBy, type Said } from "./said.ts";

/** Agent Trajectory Interchange Format 1.7 (Harbor, RFC 0001): the fields that SHIM can fill. */
export interface Trajectory {
  readonly schema_version: "ATIF-v1.7";
  readonly session_id: string;
  readonly agent: { readonly name: string; readonly version: string; readonly model_name?: string };
  readonly notes: string;
  readonly steps: readonly Step[];
  readonly final_metrics: FinalMetrics;
}

export interface FinalMetrics {
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
  readonly tool_calls?: ToolCall[];
  readonly observation?: { readonly results: ToolResult[] };
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
export function toTrajectory(
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

function stepsOf(rows: readonly JournalRow[]): Step[] {
  const steps: Step[] = [];
  const add = (at: number, source: Step["source"], message: string): Step => {
    const own = source === "agent" ? { tool_calls: [], observation: { results: [] } } : {};
    const step = { step_id: steps.length + 1, timestamp: new Date(at).toISOString(), source, message, ...own };
    steps.push(step);
    return step;
  };
  const callSteps = new Map<string, Step>();
  /** A call is part of the answer before it; its end belongs to the step of its start. */
  const addTool = (at: number, tool: Tool): void => {
    const last = steps.at(-1);
    const step = callSteps.get(tool.id) ?? (last?.source === "agent" ? last : add(at, "agent", ""));
    if (!callSteps.has(tool.id)) step.tool_calls?.push(callOf(tool));
    callSteps.set(tool.id, step);
    if (tool.kind !== "tool_start") step.observation?.results.push(resultOf(tool));
  };
  for (const { at, entry } of rows) {
    const said = saidBy(entry);
    if (said) add(at, sources[said.by], said.text);
    else if (isTool(entry)) addTool(at, entry);
  }
  return steps.map(withoutEmpty);
}

function isTool(entry: JournalEntry): entry is Tool {
  return entry.kind === "tool_start" || entry.kind === "tool_end" || entry.kind === "tool_error";
}

function callOf({ id, name, input }: Tool): ToolCall {
  return { tool_call_id: id, function_name: name, arguments: { summary: input } };
}

function resultOf(entry: Exclude<Tool, { kind: "tool_start" }>): ToolResult {
  const duration = entry.durationMs === undefined ? {} : { durationMs: entry.durationMs };
  if (entry.kind === "tool_error")
    return { source_call_id: entry.id, content: entry.text, extra: { isError: true, ...duration } };
  const file = entry.path === undefined ? {} : { path: entry.path, action: entry.action };
  return { source_call_id: entry.id, extra: { ...duration, ...file } };
}

function withoutEmpty({ tool_calls: calls = [], observation, ...step }: Step): Step {
  const results = observation?.results ?? [];
  return {
    ...step,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...(results.length > 0 ? { observation: { results } } : {}),
  };
}

import { asObject, listAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { rowState, type TranscriptDraft, type TranscriptToolCall } from "../transcript/transcript-draft.ts";
import { agentBehind } from "../adapter/tools.ts";
import { spawned } from "./codex.ts";

/** Sub-agents of Codex, each of which has a thread: what the rows of the chat say of them. */

/** Threads by their paths, and by the calls that started them. */
const agentsOf = rowState(() => new Map<string, string>());

/** Sub-agents that a call lists or waits for: the state of one that is done has its last words. */
export function readAgents(draft: TranscriptDraft, output: string, at: number | null): void {
  const found = output.startsWith("{") && output.includes('"completed":') ? parseObject(output) : null;
  const listed = listAt(found, "agents").map(asObject);
  const named = listed.map((agent) => [textAt(agent, "agent_name"), objectAt(agent, "agent_status")] as const);
  const byId = Object.entries(objectAt(found, "status") ?? {}).map(([id, status]) => [id, asObject(status)] as const);
  for (const [path, status] of [...named, ...byId]) addAnswer(draft, path, textAt(status, "completed") ?? "", at);
}

function addAnswer(draft: TranscriptDraft, path: string | null, text: string, at: number | null): void {
  const id = path === null ? null : (agentsOf(draft).get(path) ?? path);
  if (text !== "") draft.notes.push({ kind: "answer", id, text, at });
}

/** @param call name of the field with the id of the call that started the thread */
export function noteThread(draft: TranscriptDraft, activity: JsonObject, call: string): void {
  const thread = textAt(activity, "agent_thread_id", 200);
  const started = activity["kind"] === "started" ? textAt(activity, call, 200) : null;
  for (const key of thread === null ? [] : [textAt(activity, "agent_path", 200), started])
    if (key !== null && thread !== null) agentsOf(draft).set(key, thread);
}

/** Thread that a call names by itself, or by its path. */
export function threadOf(draft: TranscriptDraft, name: unknown): unknown {
  return typeof name === "string" ? (agentsOf(draft).get(name) ?? name) : name;
}

/** Result of a call that started a sub-agent, which works on behind the turn; null: of another. */
export function startedBy(
  draft: TranscriptDraft,
  call: TranscriptToolCall | undefined,
  output: string,
): JsonObject | null {
  if (call?.name !== "Agent") return null;
  const agentId = agentsOf(draft).get(call.id);
  return agentId === undefined ? agentBehind(output, spawned) : { isAsync: true, agentId };
}

const finalAnswer = "Message Type: FINAL_ANSWER\n";
const newTask = "Message Type: NEW_TASK\n";
const payloadMark = "\nPayload:\n";

/** The last words of a sub-agent, the only ones of its messages that the client writes. */
export function noteFinalAnswer(draft: TranscriptDraft, payload: JsonObject, text: string, at: number | null): void {
  if (text.startsWith(finalAnswer)) addAnswer(draft, textAt(payload, "author", 200), text, at);
}

/** Task that a message gives a sub-agent; null: it gives none. */
export function taskIn(payload: JsonObject, text: string): string | null {
  if (!text.startsWith(newTask)) return null;
  const at = text.indexOf(payloadMark);
  const task = at < 0 ? "" : text.slice(at + payloadMark.length);
  // The client may encrypt the task: its name stands for it.
  return task.trim() === "" ? (textAt(payload, "recipient", 200) ?? "") : task;
}

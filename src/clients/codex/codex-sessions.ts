import { asObject, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { refusal, type Refusal, type Row, type SessionFiles } from "../adapter/session-files.ts";
import { codexStore } from "./codex-store.ts";

export const codexSessions: SessionFiles = {
  home: [".codex", "CODEX_HOME"],
  files: ["sessions/*/*/*/rollout-*-{id}.jsonl", "sessions/*/*/*/rollout-*-{id}.jsonl.zst"],
  archive: ["archived_sessions/*-{id}.jsonl", "archived_sessions/*-{id}.jsonl.zst"],
  locks: ["thread-writer-locks/{id}.lock"],
  unarchive: (id) => ({ command: "codex", args: ["unarchive", id] }),
  isOneById: true,
  head: {
    is: (row) => row["type"] === "session_meta",
    make(id, cwd, at) {
      const timestamp = new Date(at).toISOString();
      // Codex takes no such row without these fields.
      const payload = { id, timestamp, cwd, originator: "codex_cli_rs", cli_version: "0.0.0", source: "cli" };
      return { timestamp, type: "session_meta", payload };
    },
  },
  store: codexStore,
  isPart: (row) => objectAt(objectAt(row, "payload"), "history_base") !== null,
  isThought: (row) => row["type"] === "response_item" && textAt(objectAt(row, "payload"), "type") === "reasoning",
  rowOf(row) {
    const payload = objectAt(row, "payload");
    if (row["type"] === "compacted") return { kind: "input" };
    if (row["type"] === "response_item") return codexItem(payload);
    return row["type"] === "event_msg" ? codexEvent(payload) : null;
  },
};

function codexItem(payload: JsonObject | null): Row | null {
  const type = textAt(payload, "type") ?? "";
  if (type.endsWith("_output")) return { kind: "input" };
  if (type === "message" && payload?.["role"] !== "assistant") return { kind: "message" };
  const isAnswer = type === "message" || type === "reasoning" || type.endsWith("_call");
  return isAnswer ? { kind: "answer", of: null } : null;
}

function codexEvent(payload: JsonObject | null): Row | null {
  const type = textAt(payload, "type") ?? "";
  // Since 0.169 a message is an item.
  const item = type === "item_completed" ? objectAt(payload, "item") : null;
  if (type === "user_message" || item?.["type"] === "UserMessage") return { kind: "prompt" };
  if (type === "error") return codexRefusal(payload);
  const error = type === "task_complete" ? objectAt(payload, "error") : null;
  return error && codexRefusal(error);
}

/** Codex names the kind of an error; "other" is an answer of the API that it has no name for. */
function codexRefusal(error: JsonObject | null): Refusal {
  const info = error?.["codex_error_info"] ?? "other";
  const name = typeof info === "string" ? info : (Object.keys(asObject(info) ?? {})[0] ?? "other");
  const status = { other: 400, bad_request: 400, context_window_exceeded: 413 }[name] ?? null;
  return { ...refusal(status, [], textAt(error, "message")), structure: name };
}

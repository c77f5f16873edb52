import { dirname, join } from "node:path";
import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { dashed, refusal, type SessionFiles } from "../adapter/session-files.ts";

export const qwenSessions: SessionFiles = {
  home: [".qwen"],
  files: ["projects/*/chats/{id}.jsonl"],
  archive: ["projects/*/chats/archive/*{id}.jsonl"],
  folderOf: (file, project) => join(dirname(dirname(dirname(file))), dashed(project), "chats"),
  isInFolder: true,
  store: {
    subagents: (file, id) => join(dirname(dirname(file)), "subagents", id),
    isNamedById: true,
    // Such as `<id>.ledger.jsonl`.
    isBeside: (name) => /\.[a-z-]+\.jsonl$/.test(name),
  },
  links: { isLink: () => true, bridgeMs: 0, areTwinsJoined: true },
  losesAfterCut: true,
  rowOf(row) {
    if (row["type"] === "tool_result") return { kind: "input" };
    if (row["type"] === "user" && objectAt(row, "message")) return { kind: "prompt" };
    if (row["type"] === "assistant" && objectAt(row, "message")) return { kind: "answer", of: null };
    const event = objectAt(objectAt(row, "systemPayload"), "uiEvent");
    if (event?.["event.name"] !== "qwen-code.api_error") return null;
    return refusal(numberAt(event, "status_code"), [event["error_type"]], textAt(event, "error_message"));
  },
};

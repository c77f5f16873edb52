import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { refusal, uuid, type SessionFiles } from "../adapter/session-files.ts";
import { copilotStore } from "./copilot-store.ts";

const time = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/;
/** Rows of other kinds pass unread. */
const copilotKinds = /^(?:user|assistant|tool|session|system|hook)\./;
const copilotTexts: ReadonlySet<unknown> = new Set(["user.message", "assistant.message", "system.message"]);

export const copilotSessions: SessionFiles = {
  home: [".copilot", "COPILOT_HOME"],
  files: ["session-state/{id}/events.jsonl"],
  store: copilotStore,
  accepts(row) {
    if (!copilotKinds.test(textAt(row, "type") ?? "")) return true;
    const data = objectAt(row, "data");
    const isNamed = uuid.test(textAt(row, "id") ?? "") && time.test(textAt(row, "timestamp") ?? "");
    return data !== null && isNamed && (!copilotTexts.has(row["type"]) || typeof data["content"] === "string");
  },
  rowOf(row) {
    const data = objectAt(row, "data");
    if (data === null || textAt(row, "agentId") !== null) return null;
    if (row["type"] === "user.message") return { kind: "prompt" };
    if (row["type"] === "tool.execution_complete") return { kind: "input" };
    if (row["type"] === "assistant.message") return { kind: "answer", of: textAt(data, "messageId") };
    if (row["type"] !== "session.error") return null;
    return refusal(numberAt(data, "statusCode"), [data["errorType"]], textAt(data, "message"));
  },
};

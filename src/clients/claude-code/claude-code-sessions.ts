import { dirname, join } from "node:path";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { dashed, refusal, type Refusal, type SessionFiles } from "../adapter/session-files.ts";
import { claudeStore } from "./claude-code-store.ts";
import { commandIn, userWords } from "../adapter/harness-text.ts";

function blocksOf(row: JsonObject): unknown[] {
  return listAt(objectAt(row, "message"), "content").map((block) => asObject(block)?.["type"]);
}

/** Rows of type user also hold results of calls, notices and the client's own summary. */
function isOfUser(row: JsonObject, message: JsonObject): boolean {
  if (row["isMeta"] === true || row["isCompactSummary"] === true) return false;
  const blocks = blocksOf(row);
  if (blocks.includes("tool_result")) return false;
  const texts = listAt(message, "content").map((block) => textAt(asObject(block), "text") ?? "");
  const text = (textAt(message, "content") ?? texts.join("\n")).trim();
  return (commandIn(text)?.text ?? userWords(text)) !== "" || blocks.includes("image");
}

const claudeLinks: ReadonlySet<unknown> = new Set(["user", "assistant", "attachment", "system", "progress"]);
/** Errors that a later request may not meet, whatever their status. */
const claudePassing: ReadonlySet<unknown> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "rate_limit",
  "overloaded",
  "model_not_found",
  "server_error",
]);

function claudeRefusal(row: JsonObject, message: JsonObject): Refusal {
  const text = textAt(asObject(listAt(message, "content")[0]), "text");
  const [, shown] = /^API Error: (\d{3})\b/.exec(text ?? "") ?? [];
  const known = numberAt(row, "apiErrorStatus") ?? (shown === undefined ? null : Number(shown));
  const status = known ?? (row["error"] === "invalid_request" ? 400 : null);
  const given = refusal(status, [row["apiErrorType"], row["error"]], text);
  return claudePassing.has(row["error"]) ? { ...given, of: "passing" } : given;
}

export const claudeSessions: SessionFiles = {
  home: [".claude", "CLAUDE_CONFIG_DIR"],
  store: claudeStore,
  files: ["projects/*/{id}.jsonl"],
  links: {
    isLink: (row) => claudeLinks.has(row["type"]),
    isPassedOver: (row) => row["type"] === "progress",
    isBoundary: (row) => row["type"] === "system" && row["subtype"] === "compact_boundary",
    newestIn: (row) => (row["type"] === "last-prompt" ? textAt(row, "leafUuid") : null),
    bridgeMs: 5_000,
  },
  folderOf: (file, project) => join(dirname(dirname(file)), dashed(project)),
  isThought: (row) => blocksOf(row).length > 0 && blocksOf(row).every((type) => String(type).endsWith("thinking")),
  rowOf(row) {
    const message = objectAt(row, "message");
    if (row["isSidechain"] === true || message === null) return null;
    if (row["type"] === "user") return { kind: isOfUser(row, message) ? "prompt" : "input" };
    if (row["type"] !== "assistant") return null;
    if (row["isApiErrorMessage"] === true) return claudeRefusal(row, message);
    return message["model"] === "<synthetic>" ? null : { kind: "answer", of: textAt(message, "id") };
  },
};

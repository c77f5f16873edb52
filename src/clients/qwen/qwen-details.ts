import { objectAt } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { settings } from "../adapter/client-form.ts";
import { headOf } from "../transcript/transcript-head.ts";
import { qwenContents } from "./qwen-contents.ts";
import { readQwenLine } from "./qwen-lines.ts";
import { qwenRun } from "./qwen-run.ts";
import { qwenSessions } from "./qwen-sessions.ts";

export const qwenDetails: ClientDetails = {
  readRow: readQwenLine,
  contentsOf: qwenContents,
  headOf: (row) => (Array.isArray(objectAt(row, "message")?.["parts"]) ? headOf(row, "sessionId") : null),
  namedBy: "each row",
  runOutput: qwenRun,
  sessions: qwenSessions,
  // Qwen Code has a command `resume` of its own.
  promptPrefix: "shim:",
  form: { ...settings("qwen", ".qwen/settings.json"), reads: ["a byte order mark", "comments"], hasRules: true },
};

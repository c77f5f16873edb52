import { objectAt } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { plainServers } from "../adapter/client-form.ts";
import { headOf } from "../transcript/transcript-head.ts";
import { claudeContents } from "./claude-contents.ts";
import { readClaudeLine } from "./claude-lines.ts";
import { claudeDriven, claudeRun } from "./claude-run.ts";
import { claudeSessions } from "./claude-code-sessions.ts";
import { claudeCodeWriter } from "./claude-code-writer.ts";

export const claudeCodeDetails: ClientDetails = {
  readRow: readClaudeLine,
  contentsOf: claudeContents,
  writer: claudeCodeWriter,
  headOf: (row) => (objectAt(row, "message")?.["content"] === undefined ? null : headOf(row, "sessionId")),
  namedBy: "each row",
  runOutput: claudeRun,
  driven: claudeDriven,
  sessions: claudeSessions,
  // Its hooks come with the plugin, or stand in settings of their own form.
  form: {
    servers: { ...plainServers, entry: (command, args) => ({ type: "stdio", command, args }) },
    hooks: null,
    reads: ["a byte order mark"],
  },
};

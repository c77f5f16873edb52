import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { plainServers, seconds } from "../adapter/client-form.ts";
import { headNamedBy, headOf, type SessionHead } from "../transcript/transcript-head.ts";
import { codexContents } from "./codex-contents.ts";
import { readCodexLine } from "./codex-lines.ts";
import { codexModel } from "./codex-provider.ts";
import { codexRun } from "./codex-run.ts";
import { codexSessions } from "./codex-sessions.ts";
import { codexWriter } from "./codex-writer.ts";

const rowTypes: ReadonlySet<unknown> = new Set(["turn_context", "event_msg", "response_item", "compacted"]);

function headOfMeta(payload: JsonObject | null): SessionHead | null {
  const head = headOf(payload, "id");
  const spawned = objectAt(objectAt(objectAt(payload, "source"), "subagent"), "thread_spawn");
  return head && { ...head, parent: textAt(spawned, "parent_thread_id", 200) };
}

export const codexDetails: ClientDetails = {
  readRow: readCodexLine,
  contentsOf: codexContents,
  writer: codexWriter,
  modelOf: ({ env }) => codexModel(env),
  headOf: (row) => (row["type"] === "session_meta" ? headOfMeta(objectAt(row, "payload")) : null),
  headOfFile(row, path) {
    const payload = rowTypes.has(row["type"]) ? objectAt(row, "payload") : null;
    return payload && headNamedBy(path, textAt(payload, "cwd", 4_096));
  },
  namedBy: "first row",
  runOutput: codexRun,
  sessions: codexSessions,
  form: {
    program: "codex",
    base: { variable: "CODEX_HOME", folder: ".codex" },
    hooks: {
      file: ".codex/hooks.json",
      form: "groups",
      // Codex cuts a longer one for the end of a session, and says so with each run.
      handler: (command, event) => ({
        type: "command",
        command,
        timeout: event === "SessionEnd" ? 3 : seconds(event),
      }),
    },
    servers: { ...plainServers, file: ".codex/config.toml", key: "mcp_servers" },
    commands: ".codex/skills/shim/SKILL.md",
  },
};

import { dirname } from "node:path";
import { objectAt, textAt } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { type HookLaunch, jsonExtensions, seconds } from "../adapter/client-form.ts";
import { headNamedBy, headOf } from "../transcript/transcript-head.ts";
import { copilotContents } from "./copilot-contents.ts";
import { readCopilotLine } from "./copilot-lines.ts";
import { copilotSessions } from "./copilot-sessions.ts";
import { copilot } from "./copilot.ts";

export const copilotDetails: ClientDetails = {
  readRow: readCopilotLine,
  contentsOf: copilotContents,
  headOf(row) {
    const data = row["type"] === "session.start" ? objectAt(row, "data") : null;
    const head = headOf(data, "sessionId");
    return head && { ...head, cwd: textAt(objectAt(data, "context"), "cwd", 4_096) };
  },
  headOfFile(row, path) {
    const isEvent = /^(?:user|assistant|session|tool)\./.test(textAt(row, "type") ?? "");
    return isEvent && objectAt(row, "data") ? headNamedBy(dirname(path), null) : null;
  },
  sessions: copilotSessions,
  form: {
    program: "copilot",
    reads: jsonExtensions,
    base: { variable: "COPILOT_HOME", folder: ".copilot" },
    hooks: { file: ".copilot/hooks/shim.json", form: "own", text: copilotHooks },
    servers: {
      file: ".copilot/mcp-config.json",
      key: "mcpServers",
      entry: (command, args) => ({ type: "local", command, args, tools: ["*"] }),
    },
    commands: ".copilot/skills/shim/SKILL.md",
  },
};

function copilotHooks({ commandOf }: HookLaunch): string {
  const hooks = copilot.events.map((event) => {
    const command = commandOf(event);
    return [event, [{ type: "command", bash: command, powershell: command, timeoutSec: seconds(event) }]] as const;
  });
  return `${JSON.stringify({ version: 1, hooks: Object.fromEntries(hooks) }, null, 2)}\n`;
}

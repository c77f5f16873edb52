import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { textAt } from "../../src/shared/json-fields.ts";
import type { ClientTools } from "../../test/harness/clients/real-clients.ts";
import type { ToolCall } from "../../test/harness/clients/wire-format.ts";

/** A step that is written in Claude Code's words, in those of another client. */
export function inClient(step: Step, tools: ClientTools): Step {
  return step.tools === undefined ? step : { ...step, tools: step.tools.map((call) => callOf(call, tools)) };
}

const pluginTools = "mcp__plugin_shim_shim__";

function callOf({ name, input = {} }: ToolCall, tools: ClientTools): ToolCall {
  const text = (key: string): string => textAt(input, key) ?? "";
  switch (name) {
    case "Bash":
      return tools.shell(text("command"));
    case "Read":
      return tools.read(text("file_path"));
    case "Write":
      return tools.write(text("file_path"), text("content"));
    case "Edit":
      return tools.edit(text("file_path"), text("old_string"), text("new_string"));
    default:
      if (!name.startsWith(pluginTools)) throw new Error(`the clients have no tool "${name}"`);
      return tools.ofShim(name.replace(pluginTools, ""), input);
  }
}

/** Codex edits files by patches, and reads them in the shell. @param project the folder that a patch's paths are relative to */
export function codexTools(project: string): ClientTools {
  const patch = (action: string, path: string, body: string): ToolCall => {
    const file = path.replace(`${project}/`, "");
    return { name: "apply_patch", input: { input: `*** Begin Patch\n*** ${action}: ${file}\n${body}\n*** End Patch` } };
  };
  return {
    shell: codexShell,
    read: (path) => codexShell(`cat '${path}'`),
    write: (path, content) => patch("Add File", path, marked("+", content)),
    edit: (path, before, after) => patch("Update File", path, `@@\n${marked("-", before)}\n${marked("+", after)}`),
    ofShim: (name, input) => ({ name: `mcp__shim__${name}`, input }),
  };
}

function codexShell(command: string): ToolCall {
  return { name: "exec_command", input: { cmd: command } };
}

function marked(mark: string, text: string): string {
  const lines = text.replace(/\n$/, "").split("\n");
  return lines.map((line) => `${mark}${line}`).join("\n");
}

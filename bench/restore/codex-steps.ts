import type { Step } from "../../test/harness/claude/scripted-model.ts";
import { textAt } from "../../src/shared/json-fields.ts";
import type { ToolCall } from "../../test/harness/clients/wire-format.ts";

/** A step that is written in Claude Code's words, in those of Codex. @param project the folder that paths are relative to */
export function inCodex(step: Step, project: string): Step {
  return step.tools === undefined ? step : { ...step, tools: step.tools.map((call) => callInCodex(call, project)) };
}

function callInCodex({ name, input = {} }: ToolCall, project: string): ToolCall {
  const text = (key: string): string => textAt(input, key) ?? "";
  const path = text("file_path").replace(`${project}/`, "");
  switch (name) {
    case "Bash":
      return { name: "exec_command", input: { cmd: text("command") } };
    case "Read":
      return { name: "exec_command", input: { cmd: `cat '${path}'` } };
    case "Write":
      return patch(`*** Add File: ${path}\n${marked("+", text("content"))}`);
    case "Edit":
      return patch(
        `*** Update File: ${path}\n@@\n${marked("-", text("old_string"))}\n${marked("+", text("new_string"))}`,
      );
    default:
      if (!name.startsWith(pluginTools)) throw new Error(`Codex has no tool "${name}"`);
      return { name: name.replace(pluginTools, "mcp__shim__"), input };
  }
}

const pluginTools = "mcp__plugin_shim_shim__";

function patch(body: string): ToolCall {
  return { name: "apply_patch", input: { input: `*** Begin Patch\n${body}\n*** End Patch` } };
}

function marked(mark: string, text: string): string {
  const lines = text.replace(/\n$/, "").split("\n");
  return lines.map((line) => `${mark}${line}`).join("\n");
}

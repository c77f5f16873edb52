import { clientMs } from "../../contract/hook-limits.ts";
import {
  asObject,
  listAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
  numberAt,
} from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { plainServers } from "../adapter/client-form.ts";
import { beginEvents, endEvent, runOutput, toolEvent, type RunEvent } from "../adapter/run-output.ts";
import { countOf, pictureAt, type ReadContents, type RowContents } from "../conversation/conversation.ts";
import { headNamedBy, headOf, type SessionHead } from "../transcript/transcript-file.ts";
import { readCodexLine, waiting } from "./codex-lines.ts";
import { codexModel, codexSessions, codexWriter } from "./codex-sessions.ts";

const cutMark = /\u2026\d+ (?:tokens|chars) truncated\u2026|\[\.\.\. omitted \d+ of \d+ lines \.\.\.\]/;

/** Tools of a program that stand for it. */
const simpleTools: ReadonlySet<unknown> = new Set(["exec_command", "update_plan"]);

/** Events repeat what these rows have. */
const codexContents: ReadContents = (row) => {
  if (row["type"] === "event_msg") return { repeatsCalls: true };
  const payload = row["type"] === "response_item" ? objectAt(row, "payload") : null;
  const type = textAt(payload, "type") ?? "";
  const [blocks, parts] = [listAt(payload, "content"), listAt(payload, "output")];
  const call = payload && callIn(payload, type);
  return {
    ...(call ? { call } : {}),
    outputs: payload && type.endsWith("_output") ? [outputOf(payload, parts)] : [],
    images: countOf([...blocks, ...parts], /image/),
    pictures: [
      ...blocks.flatMap((block) => pictureAt(null, textAt(asObject(block), "image_url"))),
      ...parts.flatMap((part) => pictureAt(textAt(payload, "call_id", 200), textAt(asObject(part), "image_url"))),
    ],
    thoughts: type === "reasoning" ? 1 : 0,
  };
};

function callIn(payload: JsonObject, type: string): RowContents["call"] | null {
  const [id, name] = [textAt(payload, "call_id", 200), textAt(payload, "name", 200) ?? ""];
  if (id === null) return null;
  if (type === "function_call" && waiting.has(name))
    return { id, name, input: parseObject(textAt(payload, "arguments") ?? "") };
  const program = type === "custom_tool_call" && name === "exec" ? textAt(payload, "input") : null;
  if (program === null) return null;
  const tools = [...program.matchAll(/\btools\.(\w{1,100})\(/g)].map(([, tool]) => tool);
  return tools.length > 0 && tools.every((tool) => simpleTools.has(tool))
    ? null
    : { id, name, input: { input: program } };
}

function outputOf(payload: JsonObject, parts: readonly unknown[]) {
  const texts = parts.flatMap((part) => textAt(asObject(part), "text") ?? []);
  const text = textAt(payload, "output") ?? texts.join("\n");
  return { of: textAt(payload, "call_id", 200), text, isCut: cutMark.test(text) };
}

const codexRun = runOutput(["--json"], {
  "thread.started": (event) => beginEvents(textAt(event, "thread_id", 200), null),
  "item.started": (event) => readTool(objectAt(event, "item")),
  "item.completed": (event) => readItem(objectAt(event, "item")),
  "turn.completed": (event) => [endEvent(null, readTokens(objectAt(event, "usage")))],
  "turn.failed": (event) => [endEvent(textAt(objectAt(event, "error"), "message") ?? "its turn failed")],
});

const otherItems: ReadonlySet<string> = new Set(["agent_message", "reasoning", "error", "todo_list"]);

function readTool(item: JsonObject | null): RunEvent[] {
  const type = textAt(item, "type", 40);
  return type === null || otherItems.has(type) ? [] : [toolEvent(type, item)];
}

function readItem(item: JsonObject | null): RunEvent[] {
  const text = textAt(item, "type", 40) === "agent_message" ? textAt(item, "text") : null;
  return text === null ? [] : [{ kind: "text", text, isPart: false }];
}

/** Its input tokens include what came from the cache. */
function readTokens(usage: JsonObject | null): number | null {
  const [input, output] = [numberAt(usage, "input_tokens"), numberAt(usage, "output_tokens")];
  return input === null || output === null ? null : input + output;
}

const rowTypes: ReadonlySet<unknown> = new Set(["turn_context", "event_msg", "response_item", "compacted"]);

function headOfMeta(payload: JsonObject | null): SessionHead | null {
  const head = headOf(payload, "id");
  const spawned = objectAt(objectAt(objectAt(payload, "source"), "subagent"), "thread_spawn");
  return head && { ...head, parent: textAt(spawned, "parent_thread_id", 200) };
}

export const codexDetails: ClientDetails = {
  readRow: readCodexLine,
  // A thread that is a fork repeats what the chat that started it has used.
  subagentRow: (row, agent) =>
    agent !== null && row["type"] === "token_usage_record" && objectAt(row, "payload")?.["thread_id"] !== agent
      ? null
      : row,
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
  // With the library of its protocol, which few calls need.
  actAtServer: async (...given) => (await import("./codex-server.ts")).actAtServer(...given),
  sessions: codexSessions,
  form: {
    program: "codex",
    base: { variable: "CODEX_HOME", folder: ".codex" },
    hooks: {
      file: ".codex/hooks.json",
      form: "groups",
      windowsShell: "cmd",
      // Codex cuts a longer one for the end of a session, and says so with each run.
      handler: (command, event) => ({
        type: "command",
        command,
        timeout: event === "SessionEnd" ? 3 : clientMs(event) / 1_000,
      }),
    },
    servers: { ...plainServers, file: ".codex/config.toml", key: "mcp_servers" },
    commands: ".codex/skills/shim/SKILL.md",
  },
};

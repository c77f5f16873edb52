import { callsOfProgram } from "../../src/clients/codex/codex-lines.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject, listAt } from "../../src/shared/json-fields.ts";
import type { RowReader } from "./read-session.ts";
import {
  isHarnessText,
  blocksOf,
  filesInPatch,
  type EventBody,
  type RecordedSession,
  type SessionEvent,
  commandIn,
  isInterruption,
  withoutClientText,
  textOf,
  textsOf,
  type BodyOf,
} from "./session-events.ts";

/** Each part of a message is two units: a call begins with the first and ends with the second. */
interface Part {
  readonly message: number;
  readonly info: JsonObject;
  readonly fields: JsonObject;
}

export function readOpenCode(text: string): RecordedSession | null {
  const document = parseObject(text);
  const info = objectAt(document, "info");
  // The chat that called the subagent wrote its prompt.
  if (info === null || textAt(info, "parentID") !== null) return null;
  const messages = blocksOf(document?.["messages"]);
  const parts = messages.flatMap((message, index): Part[] => {
    const about = objectAt(message, "info") ?? {};
    return blocksOf(message["parts"]).map((fields) => ({ message: index, info: about, fields }));
  });
  return {
    client: "opencode",
    id: textAt(info, "id") ?? "",
    cwd: textAt(info, "directory") ?? "",
    events: parts.flatMap(openCodeEventsOf),
    written: (_from, to) => JSON.stringify({ ...document, messages: messagesUpTo(messages, parts, to) }, null, 2),
  };
}

function messagesUpTo(messages: readonly JsonObject[], parts: readonly Part[], unit: number): JsonObject[] {
  // Only a call has a first half.
  const isHalf = unit % 2 === 1 && parts[(unit - 1) / 2]?.fields["type"] === "tool";
  const kept = parts.slice(0, isHalf ? Math.ceil(unit / 2) : Math.floor(unit / 2));
  return messages.flatMap((message, index) => {
    const own = kept.flatMap((part, at) =>
      part.message !== index ? [] : [isHalf && at === kept.length - 1 ? asRunning(part.fields) : part.fields],
    );
    if (own.length === 0) return [];
    const isWhole = !isHalf && own.length === blocksOf(message["parts"]).length;
    return [{ ...message, ...(isWhole ? {} : { info: unfinished(message) }), parts: own }];
  });
}

function unfinished(message: JsonObject): JsonObject {
  const { finish: _finish, ...info } = objectAt(message, "info") ?? {};
  return info;
}

function asRunning(part: JsonObject): JsonObject {
  const state = objectAt(part, "state");
  if (part["type"] !== "tool" || state === null) return part;
  const { start } = objectAt(state, "time") ?? {};
  return { ...part, state: { status: "running", input: state["input"], title: state["title"], time: { start } } };
}

function openCodeEventsOf(part: Part, index: number): SessionEvent[] {
  const { info, fields } = part;
  const at =
    numberAt(objectAt(objectAt(fields, "state") ?? fields, "time"), "start") ??
    numberAt(objectAt(info, "time"), "created");
  const [first, second] = [2 * index + 1, 2 * index + 2];
  if (fields["type"] === "tool") {
    const [call, end] = toolEvents(fields);
    return [call ? [{ ...call, unit: first, at }] : [], end ? [{ ...end, unit: second, at }] : []].flat();
  }
  const body = info["role"] === "user" ? saidByUser(fields) : [...saidByChat(info, fields), ...turnEndIn(info, fields)];
  return body.map((one) => Object.assign({ unit: one.kind === "compacting" ? first - 1 : second, at }, one));
}

function saidByUser(fields: JsonObject): EventBody[] {
  if (fields["type"] === "compaction") return [{ kind: "compacting" }];
  const text = textAt(fields, "text")?.trim() ?? "";
  if (fields["type"] !== "text" || text === "") return [];
  return fields["synthetic"] === true || isHarnessText(text) ? [{ kind: "harness", text }] : openCodePromptIn(text);
}

/** The end of a skill's text, which stands for its command, with the user's words. */
const calledSkill = /\n\nBase directory for this skill: .*\/(.+)\nRelative paths in this skill .*\s*([^]*)$/;

function openCodePromptIn(text: string): EventBody[] {
  const [skill, name, words = ""] = calledSkill.exec(text) ?? [];
  if (skill === undefined) return [{ kind: "prompt", text }];
  return [
    { kind: "harness", text: text.slice(0, -skill.length) },
    { kind: "prompt", text: `/${name} ${words}`.trim() },
  ];
}

function saidByChat(info: JsonObject, fields: JsonObject): EventBody[] {
  const text = textAt(fields, "text")?.trim() ?? "";
  if (fields["type"] !== "text" || text === "") return [];
  const isSummary = info["summary"] === true || info["mode"] === "compaction";
  if (isSummary) return [{ kind: "compaction", summary: text }];
  return [{ kind: "answer", text }];
}

/** Until its last part is there the message does not say how it ended. */
function turnEndIn(info: JsonObject, fields: JsonObject): EventBody[] {
  const isEnd = fields["type"] === "step-finish" && info["finish"] === "stop" && info["summary"] !== true;
  return isEnd ? [{ kind: "turnEnd" }] : [];
}

const names: Readonly<Record<string, string>> = { bash: "Bash", read: "Read", edit: "Edit", write: "Write" };
const openCodeEditTools: ReadonlySet<string> = new Set(["edit", "write"]);

function toolEvents(fields: JsonObject): EventBody[] {
  const [id, tool] = [textAt(fields, "callID") ?? "", textAt(fields, "tool") ?? ""];
  const state = objectAt(fields, "state");
  const input = objectAt(state, "input") ?? {};
  const call: EventBody = { kind: "call", id, name: names[tool] ?? tool, input, edits: editsOf(tool, input) };
  return [call, ...openCodeEndIn(state, id)];
}

function openCodeEndIn(state: JsonObject | null, id: string): EventBody[] {
  const status = textAt(state, "status");
  if (status === "completed") return [{ kind: "end", id, error: null, response: state?.["output"] }];
  return status === "error" ? [{ kind: "end", id, error: textAt(state, "error") ?? "failed", response: "" }] : [];
}

function editsOf(tool: string, input: JsonObject): string[] {
  if (tool === "apply_patch") return filesInPatch(textAt(input, "patchText") ?? "");
  const path = textAt(input, "filePath");
  return path !== null && openCodeEditTools.has(tool) ? [path] : [];
}

type Events = ReturnType<RowReader["read"]>;

const editTools: ReadonlySet<string> = new Set(["Edit", "Write", "MultiEdit", "NotebookEdit"]);

export class ClaudeReader implements RowReader {
  readonly client = "claude-code";
  id = "";
  cwd = "";
  #branch = "";

  read(row: JsonObject): Events {
    this.id ||= textAt(row, "sessionId") ?? "";
    this.cwd ||= textAt(row, "cwd") ?? "";
    return row["isSidechain"] === true ? [] : [...this.#branchOf(row), ...eventsOf(row)];
  }

  #branchOf(row: JsonObject): EventBody[] {
    const name = textAt(row, "gitBranch");
    if (name === null || name === "HEAD" || name === this.#branch) return [];
    this.#branch = name;
    return [{ kind: "branch", name }];
  }
}

function eventsOf(row: JsonObject): Events {
  if (row["subtype"] === "compact_boundary") return [{ kind: "compacting", isBeforeRow: true }];
  if (row["subtype"] === "turn_duration") return [{ kind: "turnEnd" }];
  if (row["type"] === "attachment") return queuedIn(objectAt(row, "attachment"));
  const content = objectAt(row, "message")?.["content"];
  if (row["type"] === "assistant") return answered(row, content);
  return row["type"] === "user" ? [...endsIn(row, content), ...saidIn(row, content)] : [];
}

function queuedIn(attachment: JsonObject | null): EventBody[] {
  if (attachment?.["type"] !== "queued_command") return [];
  const text = withoutClientText(textOf(attachment["prompt"]));
  const isPrompt = (textAt(attachment, "commandMode") ?? "prompt") === "prompt" && !isHarnessText(text);
  if (text === "") return [];
  return [isPrompt ? { kind: "prompt", text, isQueued: true } : { kind: "harness", text }];
}

function answered(row: JsonObject, content: unknown): EventBody[] {
  if (row["isApiErrorMessage"] === true || objectAt(row, "message")?.["model"] === "<synthetic>") return [];
  const text = textOf(content);
  const said: EventBody[] = text === "" ? [] : [{ kind: "answer", text }];
  const calls = blocksOf(content).filter(({ type }) => type === "tool_use");
  const isOver = text !== "" && objectAt(row, "message")?.["stop_reason"] === "end_turn";
  return [
    ...said,
    ...calls.map((block): EventBody => {
      const [id, name] = [textAt(block, "id") ?? "", textAt(block, "name") ?? ""];
      const input = objectAt(block, "input") ?? {};
      const path = textAt(input, "file_path") ?? textAt(input, "notebook_path");
      return { kind: "call", id, name, input, edits: path !== null && editTools.has(name) ? [path] : [] };
    }),
    ...(isOver ? [{ kind: "turnEnd" } as const] : []),
  ];
}

function endsIn(row: JsonObject, content: unknown): EventBody[] {
  return blocksOf(content)
    .filter(({ type }) => type === "tool_result")
    .map((block): EventBody => {
      const output = textOf(block["content"]);
      const error = block["is_error"] === true ? output : null;
      return { kind: "end", id: textAt(block, "tool_use_id") ?? "", error, response: row["toolUseResult"] ?? output };
    });
}

function saidIn(row: JsonObject, content: unknown): EventBody[] {
  const parts = textsOf(content)
    .map(withoutClientText)
    .filter((text) => text !== "");
  const whole = parts.join("\n");
  if (whole === "") return [];
  if (row["isCompactSummary"] === true) return [{ kind: "compaction", summary: whole }];
  if (row["isMeta"] === true) return [{ kind: "harness", text: whole }];
  if (isInterruption(whole)) return [{ kind: "interruption" }];
  // The client carries it out itself.
  if (whole === "/compact" || whole === "/clear") return [{ kind: "harness", text: whole }];
  const command = commandIn(whole);
  if (command) return commandEvents(command, whole);
  const own = parts.filter((text) => !isHarnessText(text)).join("\n");
  // A command that the user ran with `!` is no text of the client.
  const harness = parts
    .filter((text) => isHarnessText(text) && !text.startsWith("<bash-input>"))
    .map((text): EventBody => ({ kind: "harness", text }));
  return own === "" ? harness : [...harness, { kind: "prompt", text: own }];
}

/** Of `/compact` the arguments say what to keep: they start no turn. */
function commandEvents({ name, args, isOwn }: NonNullable<ReturnType<typeof commandIn>>, text: string): EventBody[] {
  const harness: EventBody = { kind: "harness", text };
  return isOwn || args === "" ? [harness] : [harness, { kind: "prompt", text: args, typed: `${name} ${args}` }];
}

/** The IDE's extension puts what is open there before the user's words. */
const requestInIde = /## My request for Codex:\s*([^]*)$/;
const failedExit = /(?:exited with code|Exit code:) [1-9]/;
const statusChars = 400;

type CallBody = BodyOf<"call">;

export class CodexReader implements RowReader {
  readonly client = "codex";
  id = "";
  cwd = "";
  readonly #patches = new Set<string>();
  readonly #programs = new Map<string, readonly string[]>();

  read(row: JsonObject): ReturnType<RowReader["read"]> {
    const payload = objectAt(row, "payload");
    if (payload === null) return [];
    if (row["type"] === "session_meta") this.#begin(payload);
    if (row["type"] === "compacted") return compaction(payload);
    return this.#readers[`${textAt(row, "type")} ${textAt(payload, "type")}`]?.(payload) ?? [];
  }

  /** A session that continues another one repeats that one's row after its own. */
  #begin(payload: JsonObject): void {
    this.id ||= textAt(payload, "id") ?? "";
    this.cwd ||= textAt(payload, "cwd") ?? "";
  }

  readonly #readers: Readonly<Record<string, (payload: JsonObject) => EventBody[]>> = {
    "event_msg user_message": (payload) => codexPromptIn(textAt(payload, "message") ?? ""),
    "event_msg agent_message": (payload) => answerIn(textAt(payload, "message") ?? ""),
    "event_msg item_completed": (payload) => planIn(objectAt(payload, "item")),
    "event_msg thread_rolled_back": (payload) => [{ kind: "rollback", turns: numberAt(payload, "num_turns") ?? 0 }],
    "event_msg turn_aborted": () => [{ kind: "interruption" }],
    "event_msg task_complete": () => [{ kind: "turnEnd" }],
    "event_msg patch_apply_end": (payload) => this.#patched(payload),
    "response_item message": (payload) => (payload["role"] === "user" ? harnessIn(textOf(payload["content"])) : []),
    "response_item function_call": (payload) => this.#call(payload),
    "response_item custom_tool_call": (payload) =>
      payload["name"] === "exec" ? this.#program(payload) : this.#call(payload),
    "response_item function_call_output": (payload) => this.#ended(payload),
    "response_item custom_tool_call_output": (payload) => this.#ended(payload),
  };

  /** A call that only waits for a command is none: no hook reports it. */
  #call(payload: JsonObject): CallBody[] {
    const [id, name] = [textAt(payload, "call_id") ?? "", textAt(payload, "name") ?? ""];
    return name === "write_stdin" || name === "wait" ? [] : [this.#ownCall(id, name, payload)];
  }

  #ownCall(id: string, name: string, payload: JsonObject): CallBody {
    const input = parseObject(textAt(payload, "arguments") ?? "") ?? { input: payload["input"] };
    const shell = codexCommandIn(input);
    if (shell !== null) return { kind: "call", id, name: "Bash", input: { command: shell }, edits: [] };
    const files = name === "apply_patch" ? filesInPatch(textAt(input, "input") ?? "") : [];
    if (name === "apply_patch") this.#patches.add(id);
    return { kind: "call", id, name, input, edits: files.map((path) => this.#whole(path)) };
  }

  /** A patch within another call has no call of its own. */
  #patched(payload: JsonObject): EventBody[] {
    const id = textAt(payload, "call_id") ?? "";
    if (this.#patches.has(id)) return [];
    const paths = Object.keys(objectAt(payload, "changes") ?? {});
    const patch = ["*** Begin Patch", ...paths.map((path) => `*** Update File: ${path}`), "*** End Patch"].join("\n");
    const error = payload["success"] === true ? null : (textAt(payload, "stderr") ?? "failed");
    return [
      { kind: "call", id, name: "apply_patch", input: { input: patch }, edits: paths.map((path) => this.#whole(path)) },
      { kind: "end", id, error, response: textAt(payload, "stdout") ?? "" },
    ];
  }

  /** Hooks report what a program calls; a patch has a row of its own. */
  #program(payload: JsonObject): EventBody[] {
    const [id, program] = [textAt(payload, "call_id") ?? "", textAt(payload, "input") ?? ""];
    const bodies = callsOfProgram(program).map(({ name, input }, index): CallBody => {
      return { kind: "call", id: index === 0 ? id : `${id}.${index}`, name, input, edits: [] };
    });
    this.#programs.set(
      id,
      bodies.map((body) => body.id),
    );
    return bodies;
  }

  #ended(payload: JsonObject): EventBody[] {
    const { id: own, error, response } = endIn(payload);
    return (this.#programs.get(own) ?? [own]).map((id) => ({ kind: "end", id, error, response }));
  }

  #whole(path: string): string {
    return path.startsWith("/") ? path : `${this.cwd}/${path}`;
  }
}

/** The last word of `bash -lc …`. */
function codexCommandIn(input: JsonObject): string | null {
  const last = listAt(input, "command").at(-1);
  return textAt(input, "cmd") ?? textAt(input, "command") ?? (typeof last === "string" ? last : null);
}

function compaction(payload: JsonObject): ReturnType<RowReader["read"]> {
  return [
    { kind: "compacting", isBeforeRow: true },
    { kind: "compaction", summary: textAt(payload, "message") ?? "" },
  ];
}

function codexPromptIn(message: string): EventBody[] {
  const text = (requestInIde.exec(message)?.[1] ?? message).trim();
  if (text === "") return [];
  return [isHarnessText(text) ? { kind: "harness", text } : { kind: "prompt", text }];
}

/** Lines for the app, such as of a commit, which it does not show. */
const appLines = /^::[a-z]+-[a-z-]+\{.*\}[ \t]*$/gm;

function answerIn(written: string): EventBody[] {
  const text = written.replaceAll(appLines, "").trim();
  return text === "" ? [] : [{ kind: "answer", text }];
}

/** A plan that the chat proposes ends its turn; no event of a hook has its words. */
function planIn(item: JsonObject | null): EventBody[] {
  const text = item?.["type"] === "Plan" ? (textAt(item, "text") ?? "").trim() : "";
  return text === "" ? [] : [{ kind: "answer", text, isPlan: true }];
}

function harnessIn(text: string): EventBody[] {
  return isHarnessText(text) ? [{ kind: "harness", text }] : [];
}

function endIn(payload: JsonObject): BodyOf<"end"> {
  const { output } = payload;
  const text = typeof output === "string" ? output : textOf(output);
  const error = failedExit.test(text.slice(0, statusChars)) ? text : null;
  return { kind: "end", id: textAt(payload, "call_id") ?? "", error, response: output };
}

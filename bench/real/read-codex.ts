import { callsOfProgram } from "../../src/clients/codex/codex-lines.ts";
import { listAt, numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { isHarnessText } from "./harness-text.ts";
import type { RowReader } from "./read-session.ts";
import { filesInPatch, textOf, type BodyOf, type EventBody } from "./session-events.ts";

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
    "event_msg user_message": (payload) => promptIn(textAt(payload, "message") ?? ""),
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
    const shell = commandIn(input);
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
function commandIn(input: JsonObject): string | null {
  const last = listAt(input, "command").at(-1);
  return textAt(input, "cmd") ?? textAt(input, "command") ?? (typeof last === "string" ? last : null);
}

function compaction(payload: JsonObject): ReturnType<RowReader["read"]> {
  return [
    { kind: "compacting", isBeforeRow: true },
    { kind: "compaction", summary: textAt(payload, "message") ?? "" },
  ];
}

function promptIn(message: string): EventBody[] {
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

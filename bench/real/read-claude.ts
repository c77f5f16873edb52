import { objectAt, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { commandIn, isHarnessText, isInterruption, withoutClientText } from "./harness-text.ts";
import type { RowReader } from "./read-session.ts";
import { blocksOf, textOf, textsOf, type EventBody } from "./session-events.ts";

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
  const harness = parts.filter(isHarnessText).map((text): EventBody => ({ kind: "harness", text }));
  return own === "" ? harness : [...harness, { kind: "prompt", text: own }];
}

/** Of `/compact` the arguments say what to keep: they start no turn. */
function commandEvents({ name, args, isOwn }: NonNullable<ReturnType<typeof commandIn>>, text: string): EventBody[] {
  const harness: EventBody = { kind: "harness", text };
  return isOwn || args === "" ? [harness] : [harness, { kind: "prompt", text: args, typed: `${name} ${args}` }];
}

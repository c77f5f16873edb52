import { objectAt, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { blocksOf, textOf } from "./content.ts";
import { isHarnessText } from "./harness-text.ts";
import type { RowReader } from "./read-session.ts";
import type { EventBody } from "./session-events.ts";

const names: Readonly<Record<string, string>> = { bash: "Bash", read: "Read", edit: "Edit", write: "Write" };

export class PiReader implements RowReader {
  readonly client = "pi";
  id = "";
  cwd = "";

  read(row: JsonObject): ReturnType<RowReader["read"]> {
    if (row["type"] === "session") {
      this.id = textAt(row, "id") ?? "";
      this.cwd = textAt(row, "cwd") ?? "";
    }
    if (row["type"] === "compaction")
      return [
        { kind: "compacting", isBeforeRow: true },
        { kind: "compaction", summary: textAt(row, "summary") ?? "" },
      ];
    const message = objectAt(row, "message");
    if (row["type"] !== "message" || message === null) return [];
    const text = textOf(message["content"]);
    if (message["role"] === "user") {
      if (text === "") return [];
      return [isHarnessText(text) ? { kind: "harness", text } : { kind: "prompt", text }];
    }
    if (message["role"] === "assistant")
      return [...(text === "" ? [] : [{ kind: "answer", text } as const]), ...callsIn(message)];
    if (message["role"] !== "toolResult") return [];
    const error = message["isError"] === true ? text : null;
    return [{ kind: "end", id: textAt(message, "toolCallId") ?? "", error, response: text }];
  }
}

function callsIn(message: JsonObject): EventBody[] {
  return blocksOf(message["content"])
    .filter(({ type }) => type === "toolCall")
    .map((block): EventBody => {
      const name = textAt(block, "name") ?? "";
      const input = objectAt(block, "arguments") ?? {};
      const path = textAt(input, "path");
      const edits = path !== null && (name === "edit" || name === "write") ? [path] : [];
      return { kind: "call", id: textAt(block, "id") ?? "", name: names[name] ?? name, input, edits };
    });
}

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
    if (row["type"] === "session") this.#begin(row);
    if (row["type"] === "compaction")
      return [
        { kind: "compacting", isBeforeRow: true },
        { kind: "compaction", summary: textAt(row, "summary") ?? "" },
      ];
    const message = row["type"] === "message" ? objectAt(row, "message") : null;
    const role = textAt(message, "role") ?? "";
    return message === null ? [] : (readers[role]?.(message, textOf(message["content"])) ?? []);
  }

  #begin(row: JsonObject): void {
    this.id = textAt(row, "id") ?? "";
    this.cwd = textAt(row, "cwd") ?? "";
  }
}

const readers: Readonly<Record<string, (message: JsonObject, text: string) => EventBody[]>> = {
  user(_message, text) {
    if (text === "") return [];
    return [isHarnessText(text) ? { kind: "harness", text } : { kind: "prompt", text }];
  },
  assistant: (message, text) => [...(text === "" ? [] : [{ kind: "answer", text } as const]), ...callsIn(message)],
  toolResult(message, text) {
    const error = message["isError"] === true ? text : null;
    return [{ kind: "end", id: textAt(message, "toolCallId") ?? "", error, response: text }];
  },
};

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

import { appendFileSync, writeFileSync } from "node:fs";
import { aToolResultLine, aToolUse, anAssistantLine, aUserLine } from "./transcripts.ts";

/** A transcript of Claude Code that grows, each line a second after the one before it. */
export class ClaudeTranscript {
  readonly path: string;
  #at: number;
  #calls = 0;

  /** @param from epoch ms, a second before the first line */
  constructor(path: string, from: number) {
    this.path = path;
    this.#at = from;
    writeFileSync(path, "");
  }

  get #about() {
    this.#at += 1_000;
    return { timestamp: new Date(this.#at).toISOString() };
  }

  /** Epoch ms of the last line. */
  get at(): number {
    return this.#at;
  }

  #add(line: string): this {
    appendFileSync(this.path, `${line}\n`);
    return this;
  }

  /** @param content more blocks beside the text */
  asks(text: string, content: readonly object[] = []): this {
    const more =
      content.length === 0 ? {} : { message: { role: "user", content: [{ type: "text", text }, ...content] } };
    return this.#add(aUserLine(text, { ...this.#about, ...more }));
  }

  says(text: string): this {
    const content = [{ type: "text", text }];
    return this.#add(anAssistantLine({ id: `msg_${this.#at}`, content }, this.#about));
  }

  /** @param result null: none is written. @param more fields of the row of the result */
  calls(name: string, input: object, result: unknown = "ok", isFailed = false, more: object = {}): this {
    const id = `call_${(this.#calls += 1)}`;
    const message = { id: `msg_${id}`, content: [aToolUse(id, name, input)], stop_reason: "tool_use" };
    this.#add(anAssistantLine(message, this.#about));
    return result === null ? this : this.#add(aToolResultLine(id, result, isFailed, { ...this.#about, ...more }));
  }
}

import { spawn, type ChildProcess } from "node:child_process";
import { maxEventLineChars, type StreamedEvent } from "../contract/hook-stream.ts";
import { numberAt, objectAt, parseObject, type JsonObject } from "../shared/json-fields.ts";
import { LineReader } from "../shared/line-reader.ts";

/** Limit of a reply, as of the output of a process for one event. */
const maxReplyChars = 1_048_576;

/** The hook process that answers events until its stdin is closed, which the client's end does. */
export class HookStream {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: JsonObject | null) => void>();
  #lastId = 0;
  #isOver = false;
  #hasAnswered = false;

  constructor([command = "node", ...args]: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"], windowsHide: true });
    const { stdin, stdout } = this.#child;
    const lines = new LineReader((line) => this.#receive(line), maxReplyChars);
    stdout?.setEncoding("utf8").on("data", (text: string) => lines.push(text));
    // Replies that were written before the end are read first: "close" follows them.
    stdin?.on("error", () => undefined);
    this.#child.once("error", () => this.#end()).once("close", () => this.#end());
    // The client ends when its own work is done.
    for (const handle of [this.#child, stdin, stdout] as (Partial<Pick<ChildProcess, "unref">> | null)[])
      handle?.unref?.();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** @returns null: perhaps not recorded, to be repeated by a process of its own */
  send(event: string, payload: JsonObject, maxMs: number): Promise<JsonObject | null> {
    const id = ++this.#lastId;
    const line = JSON.stringify({ id, event, payload } satisfies StreamedEvent);
    if (line.length > maxEventLineChars) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end(), maxMs);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#child.stdin?.write(`${line}\n`);
    });
  }

  #receive(line: string): void {
    const reply = parseObject(line);
    const id = numberAt(reply, "id") ?? 0;
    const settle = this.#waiting.get(id);
    if (!settle) return this.#end();
    this.#waiting.delete(id);
    this.#hasAnswered = true;
    settle(objectAt(reply, "answer"));
  }

  #end(): void {
    this.#isOver = true;
    this.#child.kill("SIGKILL");
    for (const settle of this.#waiting.values()) settle(null);
    this.#waiting.clear();
  }
}

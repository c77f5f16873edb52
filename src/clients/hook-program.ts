import { execFile } from "node:child_process";
import { parseObject, type JsonObject } from "../shared/json-fields.ts";
import { HookStream } from "./hook-stream.ts";

/** @returns the hook's answer; empty where there is none */
export type SendEvent = (event: string, payload: JsonObject) => Promise<JsonObject>;

export interface HookLimits {
  /** The client waits for a hook: one that hangs is ended. */
  readonly eventMs: number;
  readonly startMs: number;
  /** Between the starts of streams that end before their first answer. */
  readonly restartMs: number;
}

const defaultLimits: HookLimits = { eventMs: 5_000, startMs: 15_000, restartMs: 60_000 };

/**
 * [CA44] [CA45] Delivers events by one long-lived process. A process of its own repeats each event
 * that this one does not answer: an event that was recorded all the same counts once, by its ids.
 */
export class HookProgram {
  readonly #command: readonly string[];
  readonly #client: string;
  readonly #limits: HookLimits;
  readonly #now: () => number;
  #stream: HookStream | null = null;
  #startedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds that never jump */
  constructor(
    command: readonly string[],
    client: string,
    limits = defaultLimits,
    now = (): number => performance.now(),
  ) {
    this.#command = command;
    this.#client = client;
    this.#limits = limits;
    this.#now = now;
  }

  async send(event: string, payload: JsonObject, report: (message: string) => void): Promise<JsonObject> {
    const { eventMs } = this.#limits;
    const stream = this.#findStream();
    // A start may wait for the store longer than the events behind it can, and its brief is given
    // once: a repeat would not get it. The stream starts meanwhile.
    const answer = event === "SessionStart" ? null : await stream?.send(event, payload, eventMs);
    return answer ?? this.#sendAlone(event, payload, report);
  }

  #findStream(): HookStream | null {
    const last = this.#stream;
    if (last?.isOver === false) return last;
    const isFailing = last?.hasAnswered === false && this.#now() - this.#startedAt < this.#limits.restartMs;
    if (isFailing) return null;
    this.#startedAt = this.#now();
    return (this.#stream = new HookStream(this.#argumentsOf("stream")));
  }

  #sendAlone(event: string, payload: JsonObject, report: (message: string) => void): Promise<JsonObject> {
    const [command = "node", ...args] = this.#argumentsOf(event);
    return new Promise((resolve) => {
      const timeout = event === "SessionStart" ? this.#limits.startMs : this.#limits.eventMs;
      const child = execFile(command, args, { timeout }, (error, answer) => {
        if (error) report(`SHIM's hook did not answer at ${event}: ${error.message}`);
        resolve(parseObject(answer) ?? {});
      });
      // A hook that has ended closes its input; the error is the call's.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(JSON.stringify(payload));
    });
  }

  #argumentsOf(event: string): string[] {
    return [...this.#command, event, "--client", this.#client];
  }
}

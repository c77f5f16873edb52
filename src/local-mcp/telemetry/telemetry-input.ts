import type { TelemetrySettings } from "../../contract/config.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import { StoreError } from "../../store/store-error.ts";
import type { TelemetryEvent } from "./otlp-events.ts";
import type { Listening } from "../../platform/loopback.ts";
import { receive } from "./receiver.ts";
import { recordEvents } from "./record-events.ts";

const listenerKey = "telemetry_listener";
/** Events that wait for the store; the client repeats those that are refused. */
const maxWaiting = 5_000;
const eventsPerWrite = 200;

/** The process that has, or had, the port. */
export function listenerOf(sql: Sql): ProcessIdentity | null {
  const value = meta.read(sql, listenerKey);
  return value === null ? null : (JSON.parse(value) as ProcessIdentity);
}

/** [OB25] One process of the machine receives for all chats; another one takes over at its end. */
export class TelemetryInput {
  readonly #runtime: Runtime;
  readonly #settings: TelemetrySettings;
  readonly #process: ProcessIdentity;
  #receiver: Promise<Listening | null> | null = null;
  #waiting: TelemetryEvent[] = [];
  #isRecorded = false;
  #timer: NodeJS.Immediate | null = null;

  constructor(runtime: Runtime, settings: TelemetrySettings, process: ProcessIdentity) {
    this.#runtime = runtime;
    this.#settings = settings;
    this.#process = process;
  }

  /** Tries the port unless this process has it. Writes nothing. */
  async listen(): Promise<boolean> {
    this.#receiver ??= receive(this.#settings, (events) => this.#accept(events));
    const receiver = await this.#receiver;
    if (receiver === null) this.#receiver = null;
    return receiver !== null;
  }

  /** Stores also what a busy store has refused. */
  async tick(): Promise<void> {
    this.#schedule();
    if (this.#isRecorded || !(await this.listen())) return;
    this.#isRecorded = true;
    this.#runtime.store.write((sql) => meta.write(sql, listenerKey, JSON.stringify(this.#process)));
  }

  async stop(): Promise<void> {
    await (await this.#receiver)?.close();
    if (this.#timer) clearImmediate(this.#timer);
    while (this.#store());
  }

  #accept(events: readonly TelemetryEvent[]): boolean {
    if (this.#waiting.length + events.length > maxWaiting) return false;
    this.#waiting.push(...events);
    this.#schedule();
    return true;
  }

  /** After the answer, and in turns: tool calls come through the same process. */
  #schedule(): void {
    if (this.#timer || this.#waiting.length === 0) return;
    this.#timer = setImmediate(() => {
      this.#timer = null;
      if (this.#store()) this.#schedule();
    });
  }

  /** @returns false for a busy store, which is tried later; other errors would come again */
  #store(): boolean {
    const events = this.#waiting.slice(0, eventsPerWrite);
    if (events.length === 0) return false;
    try {
      this.#runtime.store.write((sql) => recordEvents(sql, this.#runtime, events));
    } catch (error) {
      this.#runtime.log("warn", "telemetry was not stored", { error: stackOf(error) });
      if (error instanceof StoreError && error.retryable) return false;
    }
    this.#waiting = this.#waiting.slice(events.length);
    return true;
  }
}

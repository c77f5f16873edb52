import type { TelemetrySettings } from "../../contract/config.ts";
import {
  isJson,
  listenOnLoopback,
  loopbackApp,
  onlyWithToken,
  readObject,
  refuse,
  type Listening,
} from "../../platform/loopback.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { StoreError } from "../../store/store-error.ts";
import { parseEvents, recordEvents, type TelemetryEvent } from "./telemetry-events.ts";

const maxBodies = 8;

/** False: it can take no more now. */
type Accept = (events: readonly TelemetryEvent[]) => boolean;

/**
 * [OB20] Listens on loopback for the exports of logs of this machine's chats.
 * @returns null where another process has the port
 */
export async function receive({ port, token }: TelemetrySettings, accept: Accept): Promise<Listening | null> {
  let reading = 0;
  const app = loopbackApp();
  app.post("/v1/logs", onlyWithToken(token), async (context) => {
    const { req } = context;
    if (req.header("origin") !== undefined) return refuse(context, "forbidden", "no page may send this");
    const isPlain = isJson(context) && req.header("content-encoding") === undefined;
    if (!isPlain) return refuse(context, "bad_input", "send application/json, not packed", 415);
    if (reading >= maxBodies) return refuse(context, "rate_limited", "too many exports at once");
    reading += 1;
    const body = await readObject(context).finally(() => (reading -= 1));
    const events = parseEvents(body);
    if (events === null) return refuse(context, "bad_input", "this is no export of logs");
    return accept(events) ? context.json({}) : refuse(context, "rate_limited", "too many events wait");
  });
  const listening = await listenOnLoopback(app, { port });
  return listening.ok ? listening.value : null;
}

/** Events that wait for the store; the client repeats those that are refused. */
const maxWaiting = 5_000;
const eventsPerWrite = 200;

/** [OB25] The host receives for all chats; the next one takes over at its end. */
export class TelemetryInput {
  readonly #runtime: Runtime;
  readonly #settings: TelemetrySettings;
  #receiver: Promise<Listening | null> | null = null;
  #waiting: TelemetryEvent[] = [];
  #timer: NodeJS.Immediate | null = null;

  constructor(runtime: Runtime, settings: TelemetrySettings) {
    this.#runtime = runtime;
    this.#settings = settings;
  }

  /** Tries the port unless this process has it, and stores what a busy store has refused. */
  async tick(): Promise<void> {
    this.#schedule();
    this.#receiver ??= receive(this.#settings, (events) => {
      if (this.#waiting.length + events.length > maxWaiting) return false;
      this.#waiting.push(...events);
      this.#schedule();
      return true;
    });
    if ((await this.#receiver) === null) this.#receiver = null;
  }

  async stop(): Promise<void> {
    await (await this.#receiver)?.close();
    if (this.#timer) clearImmediate(this.#timer);
    while (this.#store());
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

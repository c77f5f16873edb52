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
import { parseEvents, type TelemetryEvent } from "./otlp-events.ts";

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

import * as z from "zod/mini";
import type { Runtime } from "../../runtime/runtime.ts";
import { isRecord } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import { observe } from "../observe/observe.ts";
import { recordSettings } from "../recording/session-settings.ts";
import { idOf, label } from "../sessions/entries.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { streakAfter } from "../signals/context-readings.ts";
import { countRequest, type TokenCounts } from "../usage/ledger.ts";

/** Only the fields below are read of an OTLP body: no text of a chat is in them. */

interface RequestEvent extends TokenCounts {
  readonly kind: "request";
  readonly sessionId: string;
  readonly at: number;
  /** Null behind a gateway that does not name its requests. */
  readonly requestId: string | null;
  readonly model: string;
  readonly effort: string | null;
  /** The client may report none. */
  readonly costMicros: number | null;
}

interface ErrorEvent {
  readonly kind: "error";
  readonly sessionId: string;
  readonly at: number;
  /** Tries of the request, all of which failed. */
  readonly attempts: number;
}

export type TelemetryEvent = RequestEvent | ErrorEvent;

/** A client sends at most 512 in one body. */
const maxRecords = 2_000;
const maxTokens = 1_000_000_000;
const maxMicros = 1_000_000_000_000;
const maxAttempts = 100;

const Body = z.object({
  resourceLogs: z.array(z.object({ scopeLogs: z.array(z.object({ logRecords: z.array(z.unknown()) })) })),
});

const LogRecord = z.object({
  timeUnixNano: z.coerce.number().check(z.positive()),
  attributes: z.array(z.unknown()),
});

const text = z.string().check(z.minLength(1), z.maxLength(200));
/** Versions of the client differ in sending numbers as text. */
const number = (maximum: number) => z.coerce.number().check(z.minimum(0), z.maximum(maximum));
const count = z._default(number(maxTokens), 0);

const ApiRequest = z.object({
  "session.id": text,
  request_id: z.optional(text),
  model: text,
  effort: z.optional(text),
  input_tokens: count,
  output_tokens: count,
  cache_read_tokens: count,
  cache_creation_tokens: count,
  cost_usd_micros: z.optional(number(maxMicros)),
  cost_usd: z.optional(number(maxMicros / 1e6)),
});

const ApiError = z.object({ "session.id": text, attempt: z._default(number(maxAttempts).check(z.minimum(1)), 1) });

/** [OB21] Skips records that are unknown or not sound. @returns null for no OTLP export of logs */
export function parseEvents(body: unknown): TelemetryEvent[] | null {
  const parsed = Body.safeParse(body);
  if (!parsed.success) return null;
  const records = parsed.data.resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords),
  );
  return records.slice(0, maxRecords).flatMap((record) => parseRecord(record) ?? []);
}

function parseRecord(record: unknown): TelemetryEvent | null {
  const parsed = LogRecord.safeParse(record);
  if (!parsed.success) return null;
  const at = Math.floor(parsed.data.timeUnixNano / 1e6);
  const attributes = toAttributes(parsed.data.attributes);
  switch (attributes["event.name"]) {
    case "api_request":
      return toRequest(attributes, at);
    case "api_error": {
      const error = ApiError.safeParse(attributes).data;
      return error ? { kind: "error", sessionId: error["session.id"], at, attempts: Math.round(error.attempt) } : null;
    }
    default:
      return null;
  }
}

function toAttributes(list: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(
    list.flatMap((one): [string, unknown][] => {
      if (!isRecord(one) || typeof one["key"] !== "string" || !isRecord(one["value"])) return [];
      const { stringValue, intValue, doubleValue } = one["value"];
      return [[one["key"], stringValue ?? intValue ?? doubleValue]];
    }),
  );
}

function toRequest(attributes: Record<string, unknown>, at: number): RequestEvent | null {
  const parsed = ApiRequest.safeParse(attributes);
  if (!parsed.success) return null;
  const { cost_usd_micros: micros, cost_usd: dollars } = parsed.data;
  const costMicros = micros ?? (dollars === undefined ? null : dollars * 1e6);
  return {
    kind: "request",
    sessionId: parsed.data["session.id"],
    at,
    requestId: parsed.data.request_id ?? null,
    model: parsed.data.model,
    effort: parsed.data.effort ?? null,
    input: Math.round(parsed.data.input_tokens),
    output: Math.round(parsed.data.output_tokens),
    cacheRead: Math.round(parsed.data.cache_read_tokens),
    cacheWrite: Math.round(parsed.data.cache_creation_tokens),
    costMicros: costMicros === null ? null : Math.round(costMicros),
  };
}

const receivedKey = "telemetry_received_at";

/** Epoch ms of the last event of a client; null: none has come. */
export function lastReceivedAt(sql: Sql): number | null {
  const value = meta.read(sql, receivedKey);
  return value === null ? null : Number(value);
}

/** Part of the caller's transaction. Events of sessions that SHIM does not save are skipped. */
export function recordEvents(sql: Sql, runtime: Runtime, events: readonly TelemetryEvent[]): void {
  const now = runtime.now();
  meta.write(sql, receivedKey, String(now));
  for (const [id, list] of Map.groupBy(events, ({ sessionId }) => idOf(sessionId))) {
    const session = sessions.get(sql, id);
    if (!session || isSessionPaused(sql, now, session)) continue;
    const requests = list.filter((event) => event.kind === "request");
    for (const { requestId, model, costMicros, at, input, output, cacheRead, cacheWrite } of requests) {
      // [OB22] Without an id of the request it could not be matched with the transcript.
      if (requestId === null) continue;
      const counts = { input, output, cacheRead, cacheWrite };
      countRequest(sql, session, { requestId, model: label(model), costMicros, at, counts }, now);
    }
    const effort = requests.findLast((event) => event.effort !== null)?.effort;
    if (effort) recordSettings(sql, now, id, runtime.config, { model: session.model, effort: label(effort) });
    const outcomes = list.map((event) => ({
      at: event.at,
      failedTries: event.kind === "request" ? 0 : event.attempts,
    }));
    const streak = streakAfter(session.readings.apiErrors, outcomes, "measured", now);
    if (streak && streak !== session.readings.apiErrors) observe(sql, runtime, session, null, { apiErrors: streak });
  }
}

import { parseEvents, recordEvents } from "#src/local-mcp/telemetry/telemetry-events.ts";
import type { TempRuntime } from "./temp-runtime.ts";

export interface SentEvent {
  readonly name: string;
  readonly session: string;
  /** Epoch ms. */
  readonly at: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** An export of logs as Claude Code 2.1.328 sends it. */
export function anExport(events: readonly SentEvent[]): object {
  const logRecords = events.map(({ name, session, at, attributes }, sequence) => {
    const common = { "session.id": session, "event.name": name, "event.sequence": sequence };
    return {
      timeUnixNano: `${at}000000`,
      observedTimeUnixNano: `${at}000000`,
      body: { stringValue: `claude_code.${name}` },
      attributes: Object.entries({ ...common, ...attributes }).map(([key, value]) => ({ key, value: valueOf(value) })),
      droppedAttributesCount: 0,
    };
  });
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "claude-code" } }] };
  const scope = { name: "com.anthropic.claude_code.events", version: "2.1.328" };
  return { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] };
}

function valueOf(value: unknown): object {
  if (typeof value !== "number") return { stringValue: value };
  return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
}

/** A request of the model, as the client reports it. */
export function aRequest(id: string | null, costUsd: number, tokens: Readonly<Record<string, number>> = {}): object {
  return {
    "prompt.id": "d14bd100-97e9-4ecb-b9c0-2140cb6ae59a",
    model: "claude-opus-5-5",
    input_tokens: 100,
    output_tokens: 50,
    cache_read_tokens: 1_000,
    cache_creation_tokens: 20,
    cost_usd: costUsd,
    cost_usd_micros: Math.round(costUsd * 1e6),
    duration_ms: 81,
    ...(id === null ? {} : { request_id: id }),
    query_source: "sdk",
    ...tokens,
  };
}

/** What the receiver does with a body. */
export function deliver(runtime: TempRuntime, body: unknown): void {
  const events = parseEvents(structuredClone(body)) ?? [];
  runtime.store.write((sql) => recordEvents(sql, runtime, events));
}

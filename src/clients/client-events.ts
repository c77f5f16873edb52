import type { HookEvent } from "../contract/hook-input.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import type { ClientEvent } from "./client-adapter.ts";
import { callsOfPatch } from "./patch-files.ts";

/** @returns no event for one that SHIM does not record */
export type EventReader = (input: JsonObject) => readonly ClientEvent[];

/** Keyed by the client's own name of an event. */
export type EventReaders = ReadonlyMap<string, EventReader>;

export function as(event: HookEvent): EventReader {
  return (input) => [{ event, input }];
}

/** A subagent's prompt is no request of the user, and its end not that of a turn. */
export function ofMainChat(event: HookEvent): EventReader {
  return (input) => (isOfSubagent(input) ? [] : [{ event, input }]);
}

export function isOfSubagent(input: JsonObject): boolean {
  return typeof input["agent_id"] === "string";
}

/** [CA4] */
export function perFile(event: HookEvent): EventReader {
  return (input) => callsOfPatch(input).map((one) => ({ event, input: one }));
}

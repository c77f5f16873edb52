import type { EndSign } from "#src/contract/ending.ts";
import { note } from "#src/machine/sessions/ending/ending.ts";
import type { Machine } from "#src/machine/sessions/life/presence.ts";
import type { Sql } from "#src/shared/sql.ts";

const signs: Readonly<Record<string, EndSign>> = {
  stdin_end: "front",
  client_gone: "front",
  parent_death: "front",
  sighup: "signal",
  sigint: "signal",
  sigterm: "signal",
  asked: "asked",
  gone: "gone",
};

/** Notes a sign of a session's end, by default of one by its user. @param reason the client's word, or the front's */
export function reportEnd(sql: Sql, machine: Machine, id: string, reason: string, at = machine.now()): void {
  note(sql, machine, id, { [signs[reason] ?? "left"]: { at, reason } });
}

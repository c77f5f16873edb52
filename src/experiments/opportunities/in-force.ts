import { defaults } from "../../contract/config.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import type { History, PastSession } from "./history.ts";

/** Only sessions that ran with the values in force say something about these. */
export function sessionsWith({ sessions, config }: History, keys: readonly string[]): PastSession[] {
  return sessions.filter(({ session: { changed } }) =>
    keys.every((key) => changed !== null && (changed[key] ?? settingAt(defaults, key)) === settingAt(config, key)),
  );
}

/** A window that a user closed is no failure that a risk could foresee. */
export function hasCrashed({ session: { end } }: PastSession): boolean {
  return end.kind === "died" && end.cause !== "closed";
}

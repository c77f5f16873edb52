import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import type { Store } from "#src/store/store.ts";

/** As many as the trial of a setting that replay judges needs, and as one of the brief needs. */
export const enoughChats = 400;
const enoughBriefs = 575;

interface Machine {
  readonly store: Pick<Store, "write">;
  readonly now: () => number;
}

/** So many chats that began and ended ten days ago: no list of today has them. */
export function pastChats(machine: Machine, count = enoughChats): void {
  insertChats(machine, count, false);
}

/** So many chats of ten days ago, each with a brief after a death. */
export function pastBriefs(machine: Machine, count = enoughBriefs): void {
  insertChats(machine, count, true);
}

function insertChats({ store, now }: Machine, count: number, areBriefed: boolean): void {
  const at = now() - 10 * 86_400_000;
  const detail = JSON.stringify({ rediscovery: { reads: 1, repeats: 0 } });
  const offer = "INSERT INTO recoveries (at, session, action, bySession, detail) VALUES (?, ?, 'offered', ?, ?)";
  store.write((sql) => {
    for (let chat = 0; chat < count; chat++) {
      const id = `chat-${at}-${count}-${chat}`;
      sessions.recordSighting(sql, at, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
      sessions.end(sql, at, id, "other");
      if (areBriefed) sql.run(offer, at, "dead", id, detail);
    }
  });
}

import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Store } from "#src/store/store.ts";

/** As many as a trial needs. */
const enoughChats = 400;

interface Machine {
  readonly store: Pick<Store, "write">;
  readonly now: () => number;
}

/** So many chats that began and ended ten days ago: no list of today has them. */
export function pastChats({ store, now }: Machine, count = enoughChats): void {
  const at = now() - 10 * 86_400_000;
  store.write((sql) => {
    for (let chat = 0; chat < count; chat++) {
      const id = `chat-${at}-${count}-${chat}`;
      sessions.recordSighting(sql, at, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
      sessions.end(sql, at, id, "other");
    }
  });
}

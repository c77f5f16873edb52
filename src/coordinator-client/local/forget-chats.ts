import type { Store } from "../../store/store.ts";

/** [ST261] Removes the title and what it was doing from the rows of these sessions' chats. */
export function forgetChats(store: Store, sessions: readonly string[]): void {
  if (!store.exists()) return;
  store.connection().all("PRAGMA secure_delete = ON");
  store.write((sql) =>
    sql.run(
      `UPDATE chats SET metadata = json_remove(metadata, '$.title', '$.description'), progress = NULL
       WHERE session IN (SELECT value FROM json_each(?))`,
      JSON.stringify(sessions),
    ),
  );
}

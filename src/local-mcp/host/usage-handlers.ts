import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { shortSessionId } from "../sessions/short-ids.ts";
import * as sessions from "../sessions/sessions.ts";
import { emptyLine, sum, usageBy } from "../usage/usage-report.ts";
import type { Handlers } from "./handlers.ts";

export const usageHandlers: Handlers<"usage.list"> = {
  async "usage.list"({ runtime }, { by, since = null }) {
    const { store, config } = await runtime();
    return store.read(
      (sql) => {
        const lines = usageBy(sql, { by, since }, config.usage);
        const named = by === "session" ? lines.map((line) => ({ ...line, ...sessionNames(sql, line.key) })) : lines;
        const total = lines.reduce(sum, emptyLine);
        return ok({ by, since, lines: named, total, pricesAsOf: config.usage.pricesAsOf });
      },
      ok({ by, since, lines: [], total: emptyLine, pricesAsOf: config.usage.pricesAsOf }),
    );
  },
};

function sessionNames(sql: Sql, id: string | null): { readonly shortId?: string; readonly title?: string } {
  if (id === null) return {};
  const session = sessions.get(sql, id);
  const title = session && sessions.displayTitle(session);
  return { shortId: shortSessionId(sql, id), ...(title === null ? {} : { title }) };
}

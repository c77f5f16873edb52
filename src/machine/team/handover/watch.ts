import * as z from "zod";
import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { GivenRelay } from "../../../coordinator-client/handover-relay.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { parseJson } from "../../../shared/json-fields.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as meta from "../../../store/meta.ts";
import { markTaken } from "../../sessions/held-at-hand-over.ts";
import * as sessions from "../../sessions/sessions.ts";
import * as news from "../../sessions/news.ts";
import { neutralize } from "../../sessions/text/neutralize.ts";

/**
 * Hand-overs of this machine that a coordinator holds: their chats learn that they were taken, and
 * give back what they hold. That of a session which was forgotten is ended there.
 */

const name = "given";

const Given = z.object({
  session: z.string(),
  /** Epoch ms; the coordinator then has nothing of it. */
  until: z.number(),
});

/** @param id of the hand-over at the coordinator */
export function rememberGiven(sql: Sql, id: string, given: z.infer<typeof Given>): void {
  meta.write(sql, `${name}:${id}`, JSON.stringify(given));
}

/**
 * Asks once for each; what does not answer is asked again by the next call.
 *
 * @returns whether one was taken
 */
export async function checkGiven(runtime: Runtime): Promise<boolean> {
  const { store, paths, env, now } = runtime;
  const rows = store.read((sql) => meta.listOf(sql, name), []);
  if (rows.length === 0) return false;
  const edge = readEdgeConfig(paths.home, env);
  const relay = edge.ok && edge.value ? new GivenRelay(edge.value) : null;
  let isTaken = false;
  for (const { key, value } of rows) {
    const given = Given.safeParse(parseJson(value)).data;
    const id = key.slice(name.length + 1);
    const isKnown = given && store.read((sql) => sessions.get(sql, given.session) !== null, true);
    const seen = given && (isKnown ? await ask(relay, id) : (await relay?.end({ id }))?.ok ? {} : null);
    const isOver = given === undefined || now() > given.until;
    if (seen === null && !isOver) continue;
    store.write((sql) => {
      if (given && seen?.by !== undefined) {
        news.add(sql, now(), given.session, key, { kind: "notice", text: takenText(seen.by) });
        markTaken(sql, given.session);
        isTaken = true;
      }
      meta.remove(sql, key);
    });
  }
  return isTaken;
}

/** @returns null: it is not settled yet; without `by`: the coordinator does not have it any more */
async function ask(relay: GivenRelay | null, id: string): Promise<{ readonly by?: string } | null> {
  const status = await relay?.status(id);
  if (status?.ok === true) return status.value.state === "taken" ? { by: status.value.by ?? "another machine" } : null;
  return status?.error.code === "unknown_handover" ? {} : null;
}

function takenText(by: string): string {
  return `the user has handed this session over, and ${neutralize(by)} has taken it: its work continues there. This chat has given back its tasks, its reserved files and its elections. Before you change anything more here, ask the user whether both are to go on.`;
}

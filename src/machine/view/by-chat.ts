import { supportedClients } from "../../clients/adapters.ts";
import { isDescendant } from "../../platform/processes.ts";
import { fail, type Result } from "../../shared/result.ts";
import type { HandlerContext } from "../recovery/handler-context.ts";
import { livingSessions } from "../sessions/life/presence.ts";

const variables = supportedClients.flatMap(({ variables: { session } }) => session ?? []);

/**
 * A command that a chat has started speaks for no person: it might allow its own calls. It is below
 * the process of a client that has a session, which Windows alone does not say.
 *
 * @param what its user alone may do; ends no sentence
 * @returns null: a person has started it
 */
export async function refuseChat(
  { site, by = "command line", caller, runtime: load }: Pick<HandlerContext, "site" | "by" | "caller" | "runtime">,
  what: string,
): Promise<Result<never> | null> {
  if (by !== "command line" && by !== "live page") return null;
  const refused = fail("not_released", `a chat has started this command: only its user may ${what}.`);
  if (variables.some((name) => site.env[name] !== undefined)) return refused;
  if (caller === undefined) return null;
  const { store, processes } = await load();
  const living = store.read((sql) => livingSessions(sql, { processes }), []);
  return living.some(({ owner }) => owner !== null && isDescendant(processes, caller, owner)) ? refused : null;
}

import type { Result } from "../../shared/result.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { StoreError } from "../../local-mcp/store/store-error.ts";
import { chatAround, reservedByOthers, type ReservedFile } from "../../local-mcp/team/commit-guard.ts";
import type { Refused } from "../answer.ts";
import { commandLineChat, type Coordination } from "../coordination.ts";
import { oneLine, safe } from "../screen-text.ts";

export interface CommitToCheck {
  /** The root of the work tree. */
  readonly root: string;
  /** As `git diff --name-only -z` prints them. */
  readonly staged: string;
  readonly parentPid: number;
}

export interface CommitVerdict {
  readonly isRefused: boolean;
  /** For stderr; empty: nothing to say. */
  readonly text: string;
}

type Ask = () => Promise<Result<Coordination, Refused["error"]>>;

const clear: CommitVerdict = { isRefused: false, text: "" };
const mostShown = 10;
/** Leases that are asked for again: each is a request. */
const mostAsked = 10;

/** [FI20] [FI22] Refuses what another chat has reserved. Only a file that seems to be is asked for at the coordinator, and without an answer the commit goes on. */
export async function checkCommit(
  runtime: Runtime,
  commit: CommitToCheck,
  ask: Ask,
  patience: Promise<"late">,
): Promise<CommitVerdict> {
  const { store, config } = runtime;
  if (!config.team.isEnabled || !store.isThere()) return clear;
  try {
    const found = findIn(runtime, commit);
    if (found.length === 0) return clear;
    const held = await Promise.race([confirmed(found, ask), patience]);
    if (held === "late") return unchecked("the coordinator did not answer in time");
    return held.length === 0 ? clear : { isRefused: true, text: refusalText(runtime.now(), held) };
  } catch (error) {
    if (error instanceof StoreError) return unchecked(error.message);
    throw error;
  }
}

function findIn({ store, processes, env }: Runtime, { root, staged, parentPid }: CommitToCheck): ReservedFile[] {
  const paths = staged.split("\0").filter((path) => path !== "");
  return store.write((sql) => {
    const session = chatAround(sql, processes, env, parentPid);
    const found = reservedByOthers(sql, { session: session ?? "", processes }, root, paths);
    // What the user has reserved by the command line keeps chats away, not the user.
    return session === null ? found.filter(({ held }) => held.holder !== commandLineChat(held.machine)) : found;
  });
}

class NotAnswered extends Error {}

/** What this machine has heard may be over. */
async function confirmed(found: readonly ReservedFile[], ask: Ask): Promise<ReservedFile[] | "late"> {
  const link = await ask();
  if (!link.ok) return "late";
  try {
    const resources = [...new Set(found.map(({ held }) => held.resource))].slice(0, mostAsked);
    const holders = new Map<string, string | undefined>();
    for (const resource of resources) holders.set(resource, await holderOf(link.value, resource));
    return found.filter(({ held }) => holders.get(held.resource) === held.holder);
  } catch (error) {
    if (error instanceof NotAnswered) return "late";
    throw error;
  } finally {
    link.value.close();
  }
}

async function holderOf(link: Coordination, resource: string): Promise<string | undefined> {
  const listed = await link.call("leases.list", { prefix: resource, limit: 1 });
  if (!listed.ok) throw new NotAnswered(listed.error.message);
  return listed.value.leases.find((lease) => lease.resource === resource)?.holder;
}

function unchecked(why: string): CommitVerdict {
  return { isRefused: false, text: `SHIM: reserved files were not checked (${safe(why)}); the commit goes on.\n` };
}

/** Names are other chats' words. */
function refusalText(now: number, found: readonly ReservedFile[]): string {
  const lines = found.slice(0, mostShown).map(({ path, held }) => {
    const who = `"${oneLine(held.holderName, 60)}" (chat ${held.holder}, on ${oneLine(held.machine, 60)})`;
    return `  ${oneLine(path, 200)}: ${who}, since ${age(now - held.since)}\n`;
  });
  const rest = found.length > mostShown ? `  and ${found.length - mostShown} more\n` : "";
  const [first] = found;
  const how = [
    "`shim files list` shows what is reserved. Ask the chat to release it",
    ` (\`shim send ${first?.held.holder ?? "<chat>"} "..."\`), or commit anyway: git commit --no-verify\n`,
  ].join("");
  return safe(
    `SHIM: the commit is refused, since other chats have reserved files in it:\n${lines.join("")}${rest}${how}`,
  );
}

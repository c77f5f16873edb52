import { existsSync, realpathSync } from "node:fs";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { adapterOf, supportedClients } from "../../clients/adapters.ts";
import type { SessionWriter } from "../../clients/conversation/session-writer.ts";
import type { Conversation, Item } from "../../clients/conversation/conversation.ts";
import { detailsOf } from "../../clients/details.ts";
import type { Native } from "../../contract/machine/native.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { uuidv4 } from "../../shared/ids.ts";
import { err, ok } from "../../shared/result.ts";
import { isAlive } from "../recovery/session-state.ts";
import { openLimitOf } from "../usage/at-limit.ts";
import { successorVariable } from "../recovery/incomplete/successor.ts";
import { redactConversation, readSource, writeSession } from "../recovery/native/native-session.ts";
import type { Session } from "../sessions/sessions.ts";
import type { HandlerContext, Handlers, OperationResult } from "./operation-context.ts";
import { findHere, namesOf } from "./resolve-id.ts";

export const nativeHandlers: Pick<Handlers, "recovery.make-native"> = {
  "recovery.make-native": async (context, { session: id, folder, client }) => {
    const runtime = await context.runtime();
    const found = await findHere(context, id);
    if (!found.ok) return found;
    const session = found.value;
    const target = targetOf(context, client ?? session.client);
    if (!target.ok) return target;
    if (isAtWork(runtime, session))
      return err({ code: "still_running", message: `${session.id} still runs: end that chat first.` });
    const home = [session.cwd, session.project].find((one) => one !== null && existsSync(one));
    const cwd = realpathSync(home ?? folder);
    const deps = { env: runtime.env, driver: runtime.store.context.driver, cwd };
    const read = await readSource(deps, session);
    const problem = read.ok ? problemOf(read.value) : read.error;
    if (!read.ok || problem !== null)
      return err({ code: "transcript_unusable", message: `${session.id} cannot be written again: ${problem}.` });
    return make(runtime, { session, conversation: read.value, target: target.value, cwd });
  },
};

interface Target {
  readonly adapter: ClientAdapter;
  readonly details: NonNullable<ReturnType<typeof detailsOf>> & { readonly writer: SessionWriter };
}

function targetOf({ site }: HandlerContext, client: string): OperationResult<Target> {
  const [adapter, details] = [adapterOf(client), detailsOf(client)];
  const { writer } = details ?? {};
  if (!adapter || !details || !writer) {
    const titles = supportedClients.filter(({ name }) => detailsOf(name)?.writer).map(({ title }) => title);
    const names = `${titles.slice(0, -1).join(", ")} and ${titles.at(-1)}`;
    const message = `SHIM writes sessions of ${names}, and none of ${adapter?.title ?? client}: a new chat there gets the brief.`;
    return err({ code: "bad_input", message });
  }
  const { command } = adapter.commands.resume("");
  if (site.versionOf(command) !== null) return ok({ adapter, details: { ...details, writer } });
  return err({ code: "client_missing", message: `\`${command}\` cannot be started: install ${adapter.title} first.` });
}

/** A chat that waits at a usage limit may be continued elsewhere. */
function isAtWork(runtime: Runtime, session: Session): boolean {
  const { store, now } = runtime;
  return isAlive(runtime, session) && store.read((sql) => openLimitOf(sql, session, now()), null) === null;
}

function problemOf({ parent, items }: Conversation): string | null {
  if (parent !== null) return `it is of a sub-agent of ${parent}`;
  return items.length === 0 ? "nothing was said in it" : null;
}

interface Making {
  readonly session: Session;
  readonly conversation: Conversation;
  readonly target: Target;
  readonly cwd: string;
}

async function make(runtime: Runtime, making: Making): Promise<OperationResult<Native>> {
  const { session, target, cwd } = making;
  const { adapter, details } = target;
  const { conversation, count: redacted } = redactConversation(making.conversation);
  const { items, lost, damages } = conversation;
  const uuid = (): string => uuidv4(runtime.random(16));
  const to = { env: runtime.env, cwd, now: runtime.now(), uuid };
  try {
    const model = (await details.modelOf?.(to)) ?? null;
    const { id: made, file } = await writeSession(details, conversation, { ...to, model });
    const start = {
      kind: "resume" as const,
      client: adapter.title,
      ...adapter.commands.resume(made),
      reason: `${adapter.title} continues ${made}, which has the conversation of ${session.id}`,
      cwd,
      env: { [successorVariable]: made },
      newId: made,
    };
    return ok({
      ...namesOf(runtime, session),
      machine: null,
      made,
      file,
      carried: carriedBy(items),
      lost: [...lost].map(([part, count]) => ({ part, count })),
      damages,
      redacted,
      foreignTools: foreignTools(items, details.writer),
      start,
    });
  } catch (error) {
    return err({ code: "not_written", message: `${session.id}: ${messageOf(error)}. Nothing was changed.` });
  }
}

function carriedBy(items: readonly Item[]): Native["carried"] {
  const count = (kind: Item["kind"]): number => items.filter((item) => item.kind === kind).length;
  return { prompts: count("prompt"), answers: count("answer"), calls: count("call"), summaries: count("summary") };
}

function foreignTools(items: readonly Item[], writer: SessionWriter): Native["foreignTools"] {
  const names = items.flatMap((item) => (item.kind === "call" && !writer.hasTool(item.name) ? [item.name] : []));
  return [...Map.groupBy(names, (name) => name)].map(([name, all]) => ({ name, count: all.length }));
}

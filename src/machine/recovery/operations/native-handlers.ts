import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import type { ClientAdapter } from "../../../clients/adapter/client-adapter.ts";
import { adapterOf, supportedClients, titleOf } from "../../../clients/adapters.ts";
import type { Conversation, Item, NewSession, SessionWriter } from "../../../clients/conversation/conversation.ts";
import { detailsOf, clientDetails } from "../../../clients/details.ts";
import { formatAgo } from "../../../shared/format.ts";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { Native } from "../../../contract/machine/recovery.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { messageOf } from "../../../shared/error.ts";
import { uuidv4 } from "../../../shared/ids.ts";
import type { JsonObject } from "../../../shared/json-fields.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { startMade } from "../relaunch.ts";
import { asFile, redactConversation, readSource, writeSession } from "../native/native-session.ts";
import * as sessions from "../../sessions/sessions.ts";
import type { Session } from "../../sessions/sessions.ts";
import {
  findKept,
  findStored,
  type StoredId,
  isSearchable,
  searchedFolders,
  type KeptSession,
} from "../stores/kept-sessions.ts";
import { importTranscript } from "../../sessions/transcripts/import-transcript.ts";
import { o200kTokens } from "../../sessions/usage/tokens.ts";
import { restore } from "../incomplete/restoration.ts";
import { openLimitOf } from "../../sessions/usage/at-limit.ts";
import type { HandlerContext, Handlers } from "../handler-context.ts";
import { findHere, namesOf } from "../resolve-id.ts";
import { isAlive } from "../../sessions/life/presence.ts";

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
    return makeNative(runtime, { session, conversation: read.value, target: target.value, cwd });
  },
};

interface Target {
  readonly adapter: ClientAdapter;
  readonly details: NonNullable<ReturnType<typeof detailsOf>> & { readonly writer: SessionWriter };
}

export function targetOf({ site }: HandlerContext, client: string): Result<Target> {
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
  /**
   * Hand-over with which it came: label of the machine, and epoch ms of its clock. Its repetition
   * finds the session that the first one has made.
   */
  readonly handedOver?: { readonly machine: string; readonly givenAt: number };
}

export async function makeNative(runtime: Runtime, making: Making): Promise<Result<Native>> {
  const { session, target, cwd } = making;
  const { adapter, details } = target;
  const { conversation, count: redacted } = redactConversation(making.conversation);
  const { items, lost, damages } = conversation;
  const to = { env: runtime.env, cwd, ...idsOf(runtime, making) };
  try {
    const model = (await details.modelOf?.(to)) ?? null;
    const mayBeThere = making.handedOver !== undefined;
    const written = await writeSession(details, conversation, { ...to, model }, mayBeThere);
    const { id: made, file, isRepeated } = written;
    return ok({
      ...namesOf(runtime, session),
      made,
      file,
      isRepeated,
      carried: carriedBy(items),
      lost: [...lost].map(([part, count]) => ({ part, count })),
      damages,
      redacted,
      tokens: tokensOf(items),
      changed: changedFiles(runtime, session),
      foreignTools: foreignTools(items, details.writer),
      start: startMade(adapter.name, { made, what: `which has the conversation of ${session.id}`, cwd }),
    });
  } catch (error) {
    return err({ code: "not_written", message: `${session.id}: ${messageOf(error)}. Nothing was changed.` });
  }
}

function idsOf(runtime: Runtime, { session, target, cwd, handedOver }: Making): Pick<NewSession, "now" | "uuid"> {
  if (!handedOver) return { now: runtime.now(), uuid: () => uuidv4(runtime.random(16)) };
  const { machine, givenAt } = handedOver;
  let count = 0;
  const bytes = (): Buffer => {
    const name = JSON.stringify([session.id, machine, givenAt, target.adapter.name, cwd, (count += 1)]);
    return createHash("sha256").update(name).digest().subarray(0, 16);
  };
  return { now: givenAt, uuid: () => uuidv4(bytes()) };
}

function carriedBy(items: readonly Item[]): Native["carried"] {
  const count = (kind: Item["kind"]): number => items.filter((item) => item.kind === kind).length;
  return { prompts: count("prompt"), answers: count("answer"), calls: count("call"), summaries: count("summary") };
}

/** A client sends nothing of what stands before a summary. */
function tokensOf(items: readonly Item[]): number {
  const sent = items.slice(
    Math.max(
      0,
      items.findLastIndex(({ kind }) => kind === "summary"),
    ),
  );
  const texts = sent.map((item) => (item.kind === "call" ? JSON.stringify(item.input) : item.text));
  return texts.reduce((sum, text) => sum + o200kTokens(text), 0);
}

function changedFiles(runtime: Runtime, session: Session): string[] {
  const files = restore(runtime, session)?.files ?? [];
  return files.filter(({ now }) => now === "changed" || now === "missing").map(({ path }) => path);
}

function foreignTools(items: readonly Item[], writer: SessionWriter): Native["foreignTools"] {
  const names = items.flatMap((item) => (item.kind === "call" && !writer.hasTool(item.name) ? [item.name] : []));
  return [...Map.groupBy(names, (name) => name)].map(([name, all]) => ({ name, count: all.length }));
}

export const importSessionHandlers: Pick<Handlers, "transcripts.import-session"> = {
  "transcripts.import-session": async (context, { session: id, folder }) => {
    const { env, versionOf } = context.site;
    const kept = findKept(env, id);
    const runtime = await context.runtime();
    const [first, second] = kept;
    if (first) return second ? ambiguousFiles(runtime, id, kept) : importFrom(runtime, first.path, folder);
    const program = clientDetails.find((client) => client.program?.isId(id))?.program;
    const canExport = program !== undefined && versionOf(program.command) !== null;
    const document = canExport ? await program.exportSession({ env, cwd: folder }, id) : null;
    if (document) return importDocument(runtime, document, folder);
    const stored = findStored(env, runtime.store.context.driver, id);
    const [one, other] = stored;
    if (one && !other) return importFrom(runtime, one.path, folder, one.id);
    if (one) return ambiguousIds(id, stored);
    return err({ code: "not_found", message: notFoundText(env, id) });
  },
};

type Imported = MachineOutput<"transcripts.import-session">;

function ambiguousIds(id: string, stored: readonly StoredId[]): Result<never> {
  const candidates = [...new Set(stored.slice(0, maxListed).map((one) => one.id))];
  const message = `SHIM has not recorded "${id}", and databases of clients have several such sessions: ${candidates.join(", ")}.`;
  return err({ code: "ambiguous", message, candidates });
}

async function importFrom(runtime: Runtime, path: string, folder: string, session?: string): Promise<Result<Imported>> {
  const imported = await importTranscript(runtime, { path, folder, session });
  if (imported.ok) return ok({ session: imported.value.session, file: path });
  return err({ code: "transcript_unusable", message: `${path}: ${imported.error}. Nothing was stored.` });
}

async function importDocument(runtime: Runtime, document: JsonObject, folder: string): Promise<Result<Imported>> {
  const imported = await asFile(document, (path) => importFrom(runtime, path, folder));
  if (!imported.ok) return imported;
  const { session } = imported.value;
  runtime.store.write((sql) => sessions.setUnread(sql, session));
  return ok({ session, file: null });
}

const maxListed = 8;

function ambiguousFiles({ now }: Runtime, id: string, kept: readonly KeptSession[]): Result<never> {
  const listed = kept.slice(0, maxListed);
  const lines = listed.map(
    ({ client, path, changedAt }) => `\n  ${path}  ${titleOf(client)}, written ${formatAgo(now(), changedAt)}`,
  );
  const more = kept.length > listed.length ? [`\n  and ${kept.length - listed.length} more`] : [];
  const message = `SHIM has not recorded "${id}", and clients keep several files of that name; give one of them:${[...lines, ...more].join("")}`;
  return err({ code: "ambiguous", message, candidates: listed.map(({ path }) => path) });
}

function notFoundText(env: NodeJS.ProcessEnv, id: string): string {
  if (!isSearchable(id))
    return "Clients' own files are searched for 8 characters of an id and more: letters, digits, - and _.";
  const [there, absent] = [true, false].map((isThere) =>
    searchedFolders(env).filter((path) => existsSync(path) === isThere),
  );
  const searched = there?.length
    ? `No client's file of it is in ${there.join(", ")}`
    : "No client's file of it was found";
  return `${searched}${absent?.length ? `; ${absent.join(", ")} ${absent.length === 1 ? "is" : "are"} not there` : ""}.`;
}

import { resolve } from "node:path";
import * as z from "zod";
import { supportedClients } from "../clients/adapters.ts";
import { offeredText } from "../contract/chat-state.ts";
import type { LostPart, Native, Candidate, Plan, Start } from "../contract/machine/recovery.ts";
import { codeOf } from "../shared/error.ts";
import { firstOf, unreadParts, pluralize, quotedTitle } from "../shared/format.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { err, ok, type Result, fail } from "../shared/result.ts";
import { textOf, type Lines } from "./answer.ts";
import type { Cli, CommandResult, CommonOptions } from "./cli.ts";

/** Clients that a command line can start. */
export const startable = supportedClients.map(({ name }) => name);
/** The option `--in <client>`. */
export const StartableClient = z.enum(startable).optional().meta({ word: "client" });

interface ContinueOptions extends CommonOptions {
  /** Only prints the brief. */
  readonly print?: boolean | undefined;
  /** Client of a new chat. */
  readonly in?: string | undefined;
  /** A new chat with the brief begins, also where the client can continue the old one. */
  readonly isNew?: boolean;
  /** Called where the client could not continue the session; null: the failure stands. */
  readonly onEarlyEnd?: (session: string) => Promise<CommandResult | null>;
}

/** A client that ends with an error so soon has not let its user work. */
const earlyMs = 10_000;

/** Refusals of a session that someone works on, which the reader of its brief has to know. */
const busyCodes: ReadonlySet<string> = new Set(["held", "still_running"]);

export function nameOf({ session, title, machine }: Pick<Candidate, "session" | "title" | "machine">): string {
  return `${quotedTitle(title)} (${session}${machine === null ? "" : ` of ${machine}`})`;
}

/**
 * Asks about a session by its id, the beginning of it, or a file. One that SHIM has not
 * recorded is read from where its client keeps it first.
 */
export async function withRecorded<T>(
  cli: Cli,
  session: string,
  ask: (session: string) => Promise<Result<T>>,
): Promise<Result<T>> {
  if (/[/\\]|\.(?:jsonl|json|zst)$/.test(session)) {
    const imported = await importFile(cli, session);
    return imported.ok ? ask(imported.value) : imported;
  }
  const asked = await ask(session);
  if (asked.ok || asked.error.code !== "not_found") return asked;
  const imported = await cli.call("transcripts.import-session", { session, folder: cli.io.cwd });
  if (imported.ok) {
    const { file } = imported.value;
    cli.progress(`SHIM had not recorded session ${imported.value.session}: it was read from ${file ?? "its client"}.`);
    return ask(imported.value.session);
  }
  if (imported.error.code !== "not_found") return imported;
  return err({ ...asked.error, message: `${asked.error.message} ${imported.error.message}` });
}

/** @param asked session of a database. @returns the session */
export async function importFile(cli: Cli, path: string, asked?: string): Promise<Result<string>> {
  const file = resolve(cli.io.cwd, path);
  const imported = await cli.call("transcripts.import", {
    file,
    folder: cli.io.cwd,
    ...omitUndefined({ session: asked }),
  });
  if (!imported.ok) return imported;
  const { session, how, damages } = imported.value;
  const unread = damages === 0 ? "" : ` ${unreadParts(damages, "of it")}.`;
  cli.progress(
    how === "recorded"
      ? `SHIM has recorded session ${session} from its chat: nothing was taken from ${file}.`
      : `Read session ${session} from ${file}${how === "again" ? " again" : ""}.${unread}`,
  );
  return ok(session);
}

/** Starts the client of a session, or of a new chat with its brief, or prints the brief. */
export async function continueSession(cli: Cli, session: string, options: ContinueOptions): Promise<CommandResult> {
  const { in: client, isNew } = options;
  const planned = await withRecorded(cli, session, (known) =>
    cli.call("recovery.plan", { session: known, folder: cli.io.cwd, ...omitUndefined({ client, isNew }) }),
  );
  if (!planned.ok) return planned;
  const { offer, start, refusal } = planned.value;
  if (offer !== null) cli.progress(`${nameOf(planned.value)} was ${offeredText(offer.shortId, offer.msAgo)}.`);
  if (options.print === true || !mayStart(cli, options)) {
    if (refusal !== null && busyCodes.has(refusal.code)) cli.progress(refusal.message);
    return printed(planned.value);
  }
  if (start === null) {
    cli.progress(`${planned.value.client} cannot be started from here: give this to a new chat.`);
    return printed(planned.value);
  }
  const hint = `\`shim resume ${planned.value.session} --print\` prints the brief.`;
  if (refusal !== null) return fail(refusal.code, `${refusal.message} ${hint}`);
  return startChat(cli, planned.value.session, start, {
    hint,
    score: planned.value.score.total,
    onEarlyEnd: options.onEarlyEnd,
  });
}

/** A client needs a terminal with a person. */
export function mayStart({ io }: Cli, { json }: CommonOptions): boolean {
  return json !== true && io.isTty && io.isInteractive;
}

function printed({ offer: _offer, refusal: _refusal, ...plan }: Plan): CommandResult {
  return ok({ data: plan, text: `${plan.brief}\n` });
}

interface Starting {
  /** Ends a message of failure. */
  readonly hint: string;
  /** Score of the brief that the new chat gets. */
  readonly score?: number;
  readonly onEarlyEnd?: ContinueOptions["onEarlyEnd"];
}

/** A new chat continues the session once it has begun; without that nothing changes. */
export async function startChat(cli: Cli, session: string, start: Start, how: Starting): Promise<CommandResult> {
  const { newId } = start;
  if (newId === null) return startClient(cli, session, start, how);
  const taken = await cli.call("recovery.take", { session, chat: newId, ...omitUndefined({ score: how.score }) });
  if (!taken.ok) return taken;
  try {
    return await startClient(cli, session, start, how);
  } finally {
    await cli.call("recovery.withdraw", { session, chat: newId });
  }
}

/** Starts the client in a folder, in this terminal, without a shell. */
async function startClient(cli: Cli, session: string, start: Start, how: Starting): Promise<CommandResult> {
  const { kind, client, command, args, reason, env } = start;
  const { hint, onEarlyEnd } = how;
  const cwd = start.cwd ?? cli.io.cwd;
  cli.progress(`In ${cwd}: ${reason}.`);
  const startedAt = cli.io.now();
  try {
    const code = await cli.io.startProcess({ command, args, cwd, ...(Object.keys(env).length > 0 ? { env } : {}) });
    if (code === 0) return ok({ data: { session, exit: code }, text: "" });
    const isEarly = kind === "resume" && cli.io.now() - startedAt < earlyMs;
    const instead = isEarly ? await onEarlyEnd?.(session) : null;
    return instead ?? fail("client_failed", `${command} ended with exit code ${code}. ${hint}`);
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "was not found on the PATH" : `could not be started (${String(error)})`;
    const byHand = kind === "resume" ? `, or start it yourself: ${[command, ...args].join(" ")}` : "";
    return fail("client_not_started", `\`${command}\` ${why}. Install ${client}${byHand}. ${hint}`);
  }
}

/** Writes the session's conversation as a session of a client, and starts the client with it. */
export async function continueNatively(cli: Cli, session: string, options: ContinueOptions): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const client = omitUndefined({ client: options.in });
  const planned = await withRecorded(cli, session, (known) =>
    cli.call("recovery.plan", { session: known, folder, isNew: true, ...client }),
  );
  if (!planned.ok) return planned;
  const { session: id, shortId, refusal } = planned.value;
  if (refusal !== null) return fail(refusal.code, refusal.message);
  const written = await cli.call("recovery.make-native", { session: id, folder, ...client });
  if (!written.ok) {
    const brief = ["shim resume", shortId, ...(options.in === undefined ? [] : ["--in", options.in])].join(" ");
    const { message } = written.error;
    return err({
      ...written.error,
      message: `${message} \`${brief}\`, without --native, continues it with the brief.`,
    });
  }
  return openNative(cli, { session: id, native: written.value, data: written.value }, options);
}

interface MadeSession {
  /** The one whose conversation it has. */
  readonly session: string;
  readonly made: string;
  readonly start: Start;
  /** The words about it. */
  readonly about: Lines;
  /** Answer where the client is not started. */
  readonly data: object;
}

/** Starts the client with a session that was written for it, or says how. */
export async function openMade(
  cli: Cli,
  { session, made, start, about, data }: MadeSession,
  options: ContinueOptions,
): Promise<CommandResult> {
  if (options.print !== true && mayStart(cli, options)) {
    cli.progress(textOf(about).trimEnd());
    return startChat(cli, session, start, { hint: `The new session is ${made}.` });
  }
  // The offer ends by itself where no chat begins with the new session.
  await cli.call("recovery.take", { session, chat: made });
  const { command, args, cwd } = start;
  const how = `To continue it${cwd === null ? "" : `, in ${cwd}`}: ${[command, ...args].join(" ")}`;
  return ok({ data, text: [...about, how], isVerbatim: true });
}

/** The same with the conversation of another session. @param data see {@link MadeSession} */
export function openNative(
  cli: Cli,
  { session, native, data }: { readonly session: string; readonly native: Native; readonly data: object },
  options: ContinueOptions,
): Promise<CommandResult> {
  const { made, start } = native;
  return openMade(cli, { session, made, start, about: nativeLines(native), data }, options);
}

const lostNames: Readonly<Record<LostPart, readonly [one: string, many: string]>> = {
  image: ["image", "images"],
  thought: ["thought", "thoughts"],
  summary: ["summary that cannot be read", "summaries that cannot be read"],
  subagent_row: ["row of a sub-agent", "rows of sub-agents"],
  local_command: ["command that the client carried out itself", "commands that the client carried out itself"],
  api_error: ["error of the API", "errors of the API"],
  interruption: ["interruption", "interruptions"],
  cut_result: ["part of a result that the client had cut", "parts of results that the client had cut"],
  missing_result: ["result that was never recorded", "results that were never recorded"],
};

/** Windows of most models hold fewer, or not many more. */
const manyTokens = 120_000;
const maxFiles = 8;

/** Says what the new session has, and what it lacks: nothing is dropped in silence. */
function nativeLines(native: Native): Lines {
  const { made, session, file, isRepeated, carried, lost, damages, redacted, tokens, changed, foreignTools, start } =
    native;
  const { prompts, answers, calls, summaries } = carried;
  const has = [
    pluralize(prompts, "prompt"),
    pluralize(answers, "answer"),
    `${pluralize(calls, "call")} with results`,
    ...(summaries === 0 ? [] : [`${summaries} ${summaries === 1 ? "summary" : "summaries"}`]),
  ];
  const parts = lost.map(({ part, count }) => `${count} ${lostNames[part][count === 1 ? 0 : 1]}`);
  const tools = foreignTools.map(({ name, count }) => `${name} (${count})`);
  const where = file === null ? "" : ` (${file})`;
  return [
    `${made}${where} ${isRepeated ? "was made already as" : "is"} a session of ${start.client} with the conversation of ${session}, which stays as it is: ${has.join(", ")}.`,
    tokens >= manyTokens &&
      `It has about ${tokens.toLocaleString("en")} tokens: a model that takes fewer refuses it, or gets ${start.client}'s summary of it.`,
    changed.length > 0 &&
      `${pluralize(changed.length, "file")} changed since, which the new session does not know: ${firstOf(changed, maxFiles)}.`,
    parts.length > 0 && `Not carried over: ${parts.join(", ")}.`,
    damages > 0 && `${unreadParts(damages, "of its transcript")}.`,
    tools.length > 0 && `${start.client} has no such tools, so their calls keep the names: ${tools.join(", ")}.`,
    redacted > 0 && `${redacted} secret or private ${redacted === 1 ? "text is" : "texts are"} left out.`,
  ];
}

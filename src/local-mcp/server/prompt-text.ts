import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import { slashCommands, stepsOf, type SlashCommand, type SlashCommandName } from "../../contract/slash-commands.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { age, clip } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Chat } from "../chat/chat.ts";
import { othersOfApp } from "../chat/other-chats.ts";
import { LocalHost } from "../host/local-host.ts";
import { systemSite } from "../host/system-site.ts";
import { brief } from "../recovery/brief.ts";
import { findIncomplete, searchFor } from "../recovery/detect.ts";
import { restore, type Restoration } from "../recovery/restoration.ts";
import { commandHeading } from "../sessions/harness-text.ts";
import * as sessions from "../sessions/sessions.ts";
import { findStoredSession } from "../sessions/short-ids.ts";
import { neutralize } from "../text/neutralize.ts";

/** OpenCode asks for a prompt with this, and puts the user's words in its place afterwards. */
const placeholder = "$1";

/** Text that a prompt quotes, and the exact command that does what it shows. */
interface Facts {
  readonly text: string;
  readonly command?: string;
}

/**
 * [MC29] Quotes what SHIM knows, and says what the model is to do with it; where nothing can be
 * read, gives the steps that bring it. Changes nothing: a client may ask for a prompt to show it.
 *
 * @param given the user's words; empty: none
 */
export async function promptText(
  chat: Chat,
  name: SlashCommandName,
  given: string,
  isOpenCode: boolean,
): Promise<string> {
  const command: SlashCommand = slashCommands[name];
  const read = name === "resume" ? resumed : quoted;
  const found = given === placeholder ? null : await read(chat, name, given);
  const find = found && (isOpenCode ? forOpenCode(found.text) : found.text);
  const shown = found === null || find === null ? command : { ...command, ...found, find };
  const text = `${commandHeading(name, given)}\n\n${stepsOf(shown, given)}`;
  return withShimCommand(text, () => shimCommand(chat.runtime));
}

/** OpenCode runs commands in a prompt, attaches files, and fills in arguments. */
function forOpenCode(text: string): string {
  return text.replaceAll(/!(?=`)|@|\$(?=\d|ARGUMENTS)/g, "$&\u2060");
}

type Call = { [Name in MachineOperationName]: readonly [Name, MachineInput<Name>] }[MachineOperationName];

const maxListed = 15;

interface Asked {
  readonly given: string;
  /** Id of the chat; null: no hook and no call has named it yet. */
  readonly session: string | null;
  readonly folder: string | null;
}

/** Operations whose answers are quoted; null: it needs the session, or the folder. */
const reads: Partial<Readonly<Record<SlashCommandName, (asked: Asked) => Call | "" | null>>> = {
  conflicts: () => ["team.conflicts", {}],
  effects: ({ session }) => session && ["effects.list", { session }],
  fork: ({ session, folder }) => session && folder && ["forks.list", { session, folder }],
  limit: () => ["config.get", { key: "atLimit" }],
  rescue: ({ given, folder }) =>
    folder && ["recovery.diagnose", { folder, ...(given === "" ? {} : { session: given }) }],
  undo({ given, session, folder }) {
    const what = /^(?:--)?redo$/.test(given) ? { redo: true } : { prompt: given || "last" };
    return session && folder && ["undo.preview", { session, folder, ...what }];
  },
  who: () => ["sessions.list", { limit: maxListed }],
};

/** Answer of the operation; null where it refuses, too: the steps show why. */
async function quoted(chat: Chat, name: SlashCommandName, given: string): Promise<Facts | null> {
  const { runtime } = chat;
  const id = chat.current();
  const session = id === null ? null : runtime.store.read((sql) => sessions.get(sql, id), null);
  const folder = session?.cwd ?? session?.project ?? runtime.env["PWD"] ?? null;
  const call = reads[name]?.({ given, session: session?.id ?? null, folder });
  if (!call) return null;
  const host = new LocalHost({
    paths: runtime.paths,
    site: systemSite(runtime.launch, runtime.env),
    loaded: async () => ({ runtime, driver: runtime.store.connection().driver, fallbackReason: null }),
    runtime: async () => runtime,
    // No program of a client is started.
    by: "live page",
  });
  try {
    const [operation, input] = call;
    const done = await host.call(operation, input);
    if (!done.ok) return null;
    const about = ["asked in this chat", session && `session ${session.id}`, folder && `in ${folder}`].filter(Boolean);
    const text = `What SHIM knows (${about.join(", ")}):\n\n${quote(done.value, runtime.now())}`;
    return operation === "undo.preview"
      ? { text, command: undoCommand(done.value as MachineOutput<"undo.preview">) }
      : { text };
  } finally {
    await host.close();
  }
}

function undoCommand({ prompt, session }: MachineOutput<"undo.preview">): string {
  return `\`shim undo ${prompt?.number ?? "--redo"} --session ${session} --yes --json\``;
}

const maxValueChars = 2_000;
const maxQuoteChars = 20_000;

/** JSON as `--json` prints it, without nulls and with ages in place of times. */
function quote(value: unknown, now: number): string {
  const json = JSON.stringify(
    value,
    (key, one: unknown) => {
      if (typeof one === "number" && /(?:^a|A)t$/.test(key)) return `${age(now - one)} ago`;
      return one === null ? undefined : typeof one === "string" ? clip(one, maxValueChars) : one;
    },
    1,
  );
  return `\`\`\`json\n${clip(neutralize(json), maxQuoteChars)}\n\`\`\``;
}

async function resumed(chat: Chat, _name: SlashCommandName, given: string): Promise<Facts | null> {
  const { runtime } = chat;
  const session = given === "" ? newest(chat) : named(chat, given);
  if (session === null && given !== "") return null;
  const from = session && restore(runtime, session);
  if (!from) throw refusal("There is nothing to continue: SHIM knows of no chat that died unfinished.");
  return { text: `${claimOf(from)}\n\n${brief(from, runtime.now(), "resume")}` };
}

/** Makes this chat the successor: the prompt itself has taken nothing. */
function claimOf({ session, cause }: Restoration): string {
  if (cause === null) return `Pass "${session.id}" as session in each call of SHIM's tools.`;
  return `First call shim_check_recovery (of "${session.id}", take true), so that no other chat is offered it.`;
}

/** Session by the beginning of its id; null: the words may be of a title. */
function named({ runtime }: Chat, given: string): sessions.Session | null {
  const found = findStoredSession(runtime, given);
  if (!found.ok) throw refusal(found.error.message);
  return found.value;
}

/** The one that this chat was offered, of its project, or any; else what the app's chats saved. */
function newest(chat: Chat): sessions.Session | null {
  const { store, processes } = chat.runtime;
  const current = chat.current();
  const find = (sql: Sql, search: object): sessions.Session | undefined => {
    const except = current === null ? {} : { except: current };
    return findIncomplete(sql, processes, chat.runtime.now(), { ...search, ...except, limit: 1 })[0]?.session;
  };
  const dead = store.read((sql) => {
    const session = current === null ? null : sessions.get(sql, current);
    const [offered] = session ? sessions.listOfferedTo(sql, session.id) : [];
    return offered ?? (session && find(sql, searchFor(session))) ?? find(sql, {}) ?? null;
  }, null);
  return dead ?? othersOfApp(chat, null)[0] ?? null;
}

function refusal(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
}

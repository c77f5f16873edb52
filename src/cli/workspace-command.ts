import { Option, type Command } from "commander";
import type * as z from "zod";
import {
  operations,
  type CallName,
  type InputOf,
  type OutputOf,
  itemFields,
  type PagedOperation,
} from "../contract/operations.ts";
import type { Workspace } from "../machine/sharing/operations/workspace.ts";
import { shellWord } from "../platform/shim-command.ts";
import { findBadInput, badInputText } from "../shared/check-input.ts";
import { isRecord } from "../shared/json-fields.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { type Failed, textOf, type Shown } from "./answer.ts";
import { limitOption, requireYes, type Cli, type CommandResult } from "./cli.ts";
import { declareCommand, type Given } from "./operation-command.ts";

export interface Work<Name extends CallName> {
  readonly cli: Cli;
  readonly link: Workspace;
  readonly input: InputOf<Name>;
  /** Does the operation, with some fields changed; a list is read to its end or its limit. */
  readonly call: (changed?: Partial<InputOf<Name>>) => Promise<Result<OutputOf<Name>>>;
  /** Values of the command's own options. */
  readonly options: Given;
  /** Short id and title of a chat, where the command is labelled. */
  readonly label: (chat: string) => string;
}

interface WorkspaceCommand<Name extends CallName, Data> {
  readonly operation: Name;
  /** Fields of the command, where the operation nests them; `read` makes its input of them. */
  readonly fields?: z.ZodObject;
  readonly read?: (typed: Given, cli: Cli, options: Given) => Promise<Result<InputOf<Name>>>;
  /** Fields that are arguments, in this order; the others are options. */
  readonly args?: readonly string[];
  /** Fields that the command line does not offer, besides those of every write. */
  readonly hidden?: readonly (keyof InputOf<Name> & string)[];
  /** Instead of the operation's own summary. */
  readonly summary?: string;
  /** Instead of the operation's own example: of the command's fields. */
  readonly example?: Given;
  /** Values of hidden fields. */
  readonly fixed?: Partial<InputOf<Name>>;
  /** Most items of a list without `--limit`; absent: all. */
  readonly usualLimit?: number;
  /** Options besides the operation's. */
  readonly own?: readonly Option[];
  /** True: the view names chats. */
  readonly isLabelled?: boolean;
  /** False: a destructive operation that a person means by the words of the command. */
  readonly isAsked?: false;
  /** Work instead of the one call. */
  readonly run?: (work: Work<Name>) => Promise<Result<Data>>;
  /** Why an answer is a failure of the command; null: it is none. */
  readonly refuse?: (data: Data, input: InputOf<Name>) => Failed | null;
  readonly view: (data: Data, cli: Cli, work: Work<Name>) => Shown | Promise<Shown>;
  /** True: the text quotes stored content, whose commands are not rewritten. */
  readonly isVerbatim?: boolean;
}

const hiddenAlways = ["self", "requestId", "by", "guard", "limit", "cursor"];

/** Defines a command with help, arguments, options, paging and JSON of a workspace operation. */
export function defineWork<Name extends CallName>(
  cli: Cli,
  parent: Command,
  name: string,
  details: WorkspaceCommand<Name, OutputOf<Name>> & { readonly run?: undefined },
): Command;
export function defineWork<Name extends CallName, Data>(
  cli: Cli,
  parent: Command,
  name: string,
  details: WorkspaceCommand<Name, Data> & Required<Pick<WorkspaceCommand<Name, Data>, "run">>,
): Command;
export function defineWork<Name extends CallName, Data>(
  cli: Cli,
  parent: Command,
  name: string,
  details: WorkspaceCommand<Name, Data>,
): Command {
  const { operation, fields, args, hidden = [], fixed = {}, own = [], usualLimit } = details;
  const { input, summary, example } = operations[operation];
  const paging = [
    limitOption(usualLimit ?? "all"),
    new Option("--cursor <cursor>", "start after the page that returned this cursor"),
  ];
  const declared = {
    input: fields ?? input,
    summary: details.summary ?? summary,
    example: details.example ?? example,
    args,
    hidden: fields ? hidden : [...hiddenAlways, ...hidden, ...Object.keys(fixed)],
    own: isPaged(operation) ? [...paging, ...own] : own,
    asks: details.isAsked !== false && "isDestructive" in operations[operation],
  };
  return declareCommand(cli, parent.command(name), declared, async (typed, options) => {
    const given = { ...typed, ...fixed };
    const made = details.read ? await details.read(given, cli, options) : ok(given);
    if (!made.ok) return made;
    const wrong = findBadInput(operation, made.value);
    if (wrong) return err({ code: wrong.code, message: badInputText(wrong.message) });
    const refused = declared.asks ? await requireYes(cli, summary, options) : null;
    return refused ?? cli.withWorkspace((link) => work(cli, link, details, { typed: made.value, options }));
  });
}

async function work<Name extends CallName, Data>(
  cli: Cli,
  link: Workspace,
  details: WorkspaceCommand<Name, Data>,
  { typed, options }: { readonly typed: object; readonly options: Given },
): Promise<CommandResult> {
  const { operation, usualLimit, isLabelled, run, refuse, view, isVerbatim = false } = details;
  const self = "self" in operations[operation].input.shape ? await link.self() : null;
  if (self?.ok === false) return self;
  const input = (self ? { self: self.value, ...typed } : typed) as InputOf<Name>;
  const call = async (changed?: Partial<InputOf<Name>>): Promise<Result<OutputOf<Name>>> => {
    const { limit: max = usualLimit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
    const whole = { ...input, ...changed };
    const answer = isPaged(operation)
      ? await link.list<PagedOperation>(operation, whole as InputOf<PagedOperation>, omitUndefined({ max, cursor }))
      : await link.call<CallName>(operation, whole);
    return answer as Result<OutputOf<Name>>;
  };
  const label = isLabelled ? await chatLabels(cli) : (chat: string) => chat;
  const context: Work<Name> = { cli, link, input, call, options, label };
  const done = run ? await run(context) : ((await call()) as Result<Data>);
  if (!done.ok) return done;
  const failure = refuse?.(done.value, input);
  if (failure) return failure;
  const text = textOf(await view(done.value, cli, context));
  // How to go on behind a page.
  const cursor = isRecord(done.value) ? done.value["cursor"] : null;
  const more = typeof cursor === "string" ? `There are more: --cursor ${shellWord(cursor)}\n` : "";
  return ok({ data: done.value, text: text + more, isVerbatim });
}

function isPaged(name: CallName): name is PagedOperation {
  return Object.hasOwn(itemFields, name);
}

/** @returns short id and title of a chat; the whole id of one that is not known any more */
export async function chatLabels(cli: Cli): Promise<(chat: string) => string> {
  const listed = await cli.call("team.chats", { all: true });
  const known = new Map(listed.ok ? listed.value.chats.map((one) => [one.chat, one]) : []);
  return (id) => {
    const chat = known.get(id);
    return chat ? `${chat.shortId} ${chat.title ?? chat.client}` : id;
  };
}

/** @param text beginning of its id or title */
export async function findChat(cli: Cli, text: string): Promise<Result<string>> {
  const found = await cli.call("team.find-chat", { chat: text });
  return found.ok ? ok(found.value.chat) : found;
}

import { Option, type Command } from "commander";
import * as z from "zod";
import { itemFields } from "../contract/item-fields.ts";
import type { MachineOperationName, machineOperations } from "../contract/machine/operations.ts";
import type { CallName, operations, PagedOperation } from "../contract/operations.ts";
import type { Workspace } from "../machine/sharing/operations/workspace.ts";
import { shellWord } from "../platform/shell-line.ts";
import { badInputText, formatIssues } from "../shared/bad-input.ts";
import { isRecord } from "../shared/json-fields.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import type { Failure } from "../contract/errors.ts";
import type { MachineOperation, Operation } from "../contract/operation.ts";
import { type ExitCode, exitCodes } from "../contract/exit-codes.ts";
import { type Failed, type Shown, textOf, wrongUsage } from "./answer.ts";
import { type Cli, type CommandResult, type CommonOptions, limitOption, requireYes } from "./cli.ts";
import { declareCommand, declareNow, type Given } from "./declared-command.ts";

type Declarations = typeof operations & typeof machineOperations;
type Name = CallName | MachineOperationName;
type Declaration = Operation | MachineOperation;
type Input<One extends Name> = z.input<Declarations[One]["input"]>;
type Output<One extends Name> = z.output<Declarations[One]["output"]>;

export interface Work<One extends Name> {
  readonly cli: Cli;
  /** The workspace of the operation; null: it is one of the machine. */
  readonly link: One extends CallName ? Workspace : null;
  readonly input: Input<One>;
  /** Does the operation, with some fields changed; a list is read to its end or its limit. */
  readonly call: (changed?: Partial<Input<One>>) => Promise<Result<Output<One>>>;
  /** Values of the command's own options. */
  readonly options: Given;
  /** Short id and title of a chat, where the command is labelled. */
  readonly label: (chat: string) => string;
}

interface Words {
  /** Fields that are arguments, in this order; the others are options. */
  readonly args?: readonly string[];
  /** A field that takes all words after them; a text gets them joined by blanks. */
  readonly rest?: string;
  /** Its fields instead of the operation's own example. */
  readonly example?: Given;
  /** Options besides those of the input. */
  readonly own?: readonly Option[];
}

interface OperationCommand<One extends Name, Data> extends Words {
  readonly operation: One;
  /** The declarations among which it is: a command loads those of its operations, and not all. */
  readonly of: Pick<Declarations, One> | (() => Promise<Pick<Declarations, One>>);
  /** Fields of the command, where the operation nests them; `read` makes its input of them. */
  readonly fields?: z.ZodObject;
  readonly read?: (typed: Given, cli: Cli, options: Given) => Promise<Result<Omit<Input<One>, "self">>>;
  /** Fields that the command line does not offer, besides those of every write. */
  readonly hidden?: readonly (keyof Input<One> & string)[];
  /** Instead of the operation's own. */
  readonly summary?: string;
  /** Values of hidden fields. */
  readonly fixed?: Partial<Input<One>>;
  /** Most items of a list without `--limit`; absent: all. */
  readonly usualLimit?: number;
  /** True: the view names chats. */
  readonly isLabelled?: boolean;
  /**
   * Asked first. Absent: the summary, if it takes something away; false: the words say it. A
   * question that only the input decides may also be a refusal, or none.
   */
  readonly question?: string | false | ((input: Input<One>) => Promise<Result<string | null>>);
  /** Work instead of the one call. */
  readonly run?: (work: Work<One>) => Promise<Result<Data>>;
  /** Why an answer is a failure of the command; null: it is none. */
  readonly refuse?: (data: Data, input: Input<One>) => Failed | null;
  readonly view: (data: Data, cli: Cli, work: Work<One>) => Shown | Promise<Shown>;
  /** True: the text quotes stored content, whose commands are not rewritten. */
  readonly isVerbatim?: boolean;
  /** Exit code of an answer; default: 0. */
  readonly exitOf?: (data: Data) => ExitCode;
}

interface Program<Schema extends z.ZodObject> extends Words {
  /** Absent: it takes nothing. */
  readonly input?: Schema;
  readonly summary: string;
  /** True: it asks before it changes something. */
  readonly asks?: boolean;
  readonly run: (input: z.output<Schema>, options: Given & CommonOptions) => CommandResult | Promise<CommandResult>;
}

const hiddenAlways = ["self", "requestId", "by", "guard", "limit", "cursor"];

/**
 * Defines a command by its declaration: a view of an operation of the machine or the workspace, or
 * a program of its own.
 */
export function define<One extends Name>(
  cli: Cli,
  parent: Command,
  name: string,
  details: OperationCommand<One, Output<One>> & { readonly run?: undefined },
): Command;
export function define<One extends Name, Data>(
  cli: Cli,
  parent: Command,
  name: string,
  details: OperationCommand<One, Data> & Required<Pick<OperationCommand<One, Data>, "run">>,
): Command;
export function define<Schema extends z.ZodObject>(
  cli: Cli,
  parent: Command,
  name: string,
  details: Program<Schema>,
): Command;
export function define(cli: Cli, parent: Command, name: string, declared: unknown): Command {
  const command = parent.command(name);
  const details = declared as OperationCommand<Name, unknown> | Program<z.ZodObject>;
  if ("operation" in details) {
    cli.declareLater(command, () => defineOperation(cli, command, details));
    return command;
  }
  const { input = z.strictObject({}) } = details;
  return declareCommand(cli, command, { ...details, input }, (given, options) => {
    const checked = input.safeParse(given);
    return checked.success ? details.run(checked.data, options) : wrongUsage(`${formatIssues(checked.error)}.`);
  });
}

async function defineOperation<One extends Name>(
  cli: Cli,
  command: Command,
  details: OperationCommand<One, unknown>,
): Promise<void> {
  const { operation, fields, hidden = [], fixed = {}, own = [], usualLimit, question } = details;
  const of = typeof details.of === "function" ? await details.of() : details.of;
  const declaration: Declaration = of[operation];
  const { input, summary, example, isDestructive = false } = declaration;
  const isOfWorkspace = !("doneBy" in declaration);
  const asks = question !== false && (isDestructive || question !== undefined);
  const paging = [
    limitOption(usualLimit ?? "all"),
    new Option("--cursor <cursor>", "start after the page that returned this cursor"),
  ];
  const hiddenFields = [...(isOfWorkspace ? hiddenAlways : []), ...hidden, ...Object.keys(fixed)];
  const declared = {
    input: fields ?? input,
    summary: details.summary ?? summary,
    example: details.example ?? example,
    args: details.args,
    rest: details.rest,
    hidden: fields ? hidden : hiddenFields,
    own: isPaged(operation) ? [...paging, ...own] : own,
    asks,
  };
  declareNow(cli, command, declared, async (typed, options) => {
    const given = { ...typed, ...fixed };
    const made = details.read ? await details.read(given, cli, options) : ok(given);
    if (!made.ok) return made;
    const typedInput = made.value as Input<One>;
    const wrong = isOfWorkspace ? await badInput(operation as CallName, typedInput) : null;
    if (wrong) return fail(wrong.code, badInputText(wrong.message));
    const asked = typeof question === "function" ? await question(typedInput) : ok(asks ? question || summary : null);
    if (!asked.ok) return asked;
    const refused = asked.value === null ? null : await requireYes(cli, asked.value, options);
    if (refused) return refused;
    if (!isOfWorkspace) return work(cli, null, details, { typed: typedInput, options });
    const asSelf = async (link: Workspace): Promise<CommandResult> => {
      const self = "self" in input.shape ? await link.self() : ok(null);
      if (!self.ok) return self;
      const whole = self.value === null ? typedInput : { self: self.value, ...typedInput };
      return work(cli, link, details, { typed: whole, options });
    };
    return cli.withWorkspace(asSelf);
  });
}

/** Checked as a coordinator does. */
async function badInput(name: CallName, input: object): Promise<Failure | null> {
  return (await import("../shared/check-input.ts")).findBadInput(name, input);
}

async function work<One extends Name>(
  cli: Cli,
  link: Workspace | null,
  details: OperationCommand<One, unknown>,
  { typed: input, options }: { readonly typed: Input<One>; readonly options: Given },
): Promise<CommandResult> {
  const { operation, usualLimit, isLabelled, run } = details;
  const call = (changed?: Partial<Input<One>>): Promise<Result<unknown>> => {
    const whole = { ...input, ...changed } as never;
    if (link === null) return cli.call(operation as MachineOperationName, whole);
    const { limit: max = usualLimit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
    if (isPaged(operation)) return link.list<PagedOperation>(operation, whole, omitUndefined({ max, cursor }));
    return link.call<CallName>(operation as CallName, whole);
  };
  const label = isLabelled ? await chatLabels(cli) : (chat: string) => chat;
  const context = { cli, link, input, call, options, label } as Work<One>;
  const done = run ? await run(context) : await call();
  if (!done.ok) return done;
  return details.refuse?.(done.value, input) ?? answer(done.value, details, context);
}

async function answer<One extends Name>(
  data: unknown,
  { operation, view, exitOf, isVerbatim = false }: OperationCommand<One, unknown>,
  context: Work<One>,
): Promise<CommandResult> {
  const text = textOf(await view(data, context.cli, context));
  // How to go on behind a page.
  const cursor = isPaged(operation) && isRecord(data) ? data["cursor"] : null;
  const more = typeof cursor === "string" ? `There are more: --cursor ${shellWord(cursor)}\n` : "";
  return ok({ data, text: text + more, exit: exitOf?.(data) ?? exitCodes.ok, isVerbatim });
}

function isPaged(name: Name): name is PagedOperation {
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

import type { Command } from "commander";
import type { Operation } from "../../../contract/operation.ts";
import { isOperation, operationNames, operations, type OperationName } from "../../../contract/operations.ts";
import type { CallName } from "../../../coordinator-client/coordinator-client.ts";
import { isRecord } from "../../../shared/json-fields.ts";
import { err, ok } from "../../../shared/result.ts";
import { fromTexts } from "../../../shared/text-fields.ts";
import { notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { isClose } from "../../close-words.ts";
import { registerCommandLine, withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { requireYes } from "../edge/edge-membership.ts";
import { readJsonFile, readJsonInput } from "../../task-input.ts";

interface CallOptions extends CommonOptions {
  readonly input?: string;
  readonly yes?: boolean;
}

type Input = Readonly<Record<string, unknown>>;

/** Every operation of the workspace by its declaration, for what no command of its own does. */
export function addCall(program: Command, cli: Cli): void {
  const command = program
    .command("call [operation] [fields...]")
    .description("any operation of the workspace, with name=value fields; without one, their list")
    .option("--input <file>", "the input as JSON; - reads the standard input")
    .option("-y, --yes", "do not ask before an operation that takes something away");
  cli.define(command, async (options: CallOptions, name?: string, ...rest: string[]) => {
    if (name === undefined) return ok(list(cli));
    if (!isCallable(name)) return unknown(name);
    // `[fields...]` comes as one array.
    const input = await inputOf(cli, name, rest.flat(), options);
    if (!input.ok) return input;
    return withLink(cli, (link) => call(cli, link, { name, input: input.value, isYes: options.yes === true }));
  });
}

function isCallable(name: string): name is CallName {
  return isOperation(name) && name !== "chats.unregister" && !declarationOf(name).isSocketOnly;
}

function declarationOf(name: OperationName): Operation {
  return operations[name];
}

function list(cli: Cli): { readonly data: unknown; readonly text: string } {
  const data = operationNames.filter(isCallable).map((name) => {
    const { effect, scope, summary, example } = declarationOf(name);
    return { name, effect, scope, summary, example };
  });
  const text = cli.table(data, {
    OPERATION: ({ name }) => name,
    SCOPE: ({ scope }) => scope,
    "WHAT IT DOES": ({ summary }) => summary,
  });
  return { data, text: `${text}\nNext: \`shim call tasks.list state=queued\`.\n` };
}

function unknown(name: string): CommandResult {
  const close = operationNames.filter((one) => isCallable(one) && isClose(name, one));
  const hint = close.length > 0 ? `Did you mean ${close.join(" or ")}?` : "`shim call` lists them.";
  return notFound(`there is no operation ${name.slice(0, 60)}. ${hint}`);
}

async function inputOf(
  cli: Cli,
  name: CallName,
  fields: readonly string[],
  { input: file }: CallOptions,
): Promise<CliResult<Input>> {
  const bare = fields.find((field) => !/^\w+=/.test(field));
  if (bare !== undefined) return wrongUsage(`"${bare.slice(0, 60)}" is no field name=value. ${exampleOf(name)}`);
  const names = fields.map((field) => field.slice(0, field.indexOf("=")));
  const twice = names.find((field, at) => names.indexOf(field) !== at);
  if (twice !== undefined) return wrongUsage(`${twice} is given twice.`);
  const texts = fields.map((field, at) => [names[at], field.slice(field.indexOf("=") + 1)]);
  const given = fromTexts(operations[name].input, Object.fromEntries(texts));
  if (file === undefined) return ok(given);
  const read = file === "-" ? await readJsonInput(cli) : readJsonFile(cli, file);
  if (!read.ok) return read;
  return isRecord(read.value)
    ? ok({ ...read.value, ...given })
    : wrongUsage(`The input is no JSON object. ${exampleOf(name)}`);
}

function exampleOf(name: CallName): string {
  const { self: _, ...example } = declarationOf(name).example as Input;
  const fields = Object.entries(example).map(([field, value]) => `${field}=${quoted(value)}`);
  return `Such as: \`${["shim call", name, ...fields].join(" ")}\`.`;
}

function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function call(
  cli: Cli,
  link: CoordinatorLink,
  { name, input, isYes }: { readonly name: CallName; readonly input: Input; readonly isYes: boolean },
): Promise<CommandResult> {
  const { input: schema, isDestructive, summary } = declarationOf(name);
  const refused = isDestructive ? await requireYes(cli, `${name}: ${summary}`, { yes: isYes }) : null;
  if (refused) return refused;
  const registered = "self" in schema.shape ? await registerCommandLine(link) : null;
  if (registered?.ok === false) return registered;
  const answer = await link.call(name, { ...(registered ? { self: registered.value } : {}), ...input });
  if (answer.ok)
    return ok({ data: answer.value, text: `${JSON.stringify(answer.value, null, 2)}\n`, isVerbatim: true });
  const { error } = answer;
  return error.code === "bad_input" ? err({ ...error, message: `${error.message} ${exampleOf(name)}` }) : answer;
}

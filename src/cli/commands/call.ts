import { type Command, Option } from "commander";
import * as z from "zod";
import {
  type MachineOperationName,
  isMachineOperation,
  machineOperationNames,
  machineOperations,
} from "../../contract/machine/operations.ts";
import { type CallName, isOperation, operationNames, operations } from "../../contract/operations.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { isClose } from "../../shared/close-words.ts";
import { isRecord } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { fromTexts } from "../../shared/input-fields.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { type Answer, notFound, wrongUsage, exitOf } from "../answer.ts";
import { type Cli, requireYes } from "../cli.ts";
import { define } from "../operation-command.ts";
import { readJson } from "../option-values.ts";
import { shellWord } from "../../platform/shell-line.ts";

type Input = Readonly<Record<string, unknown>>;

type Callable = CallName | MachineOperationName;

/** Every operation of the workspace and of this machine by its declaration. */
export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "call", {
    input: z.strictObject({
      operation: z.string().optional(),
      fields: z.array(z.string()).default([]),
      input: z.string().optional().meta({ word: "file", description: "the input as JSON; - reads the standard input" }),
    }),
    summary: "Any operation of the workspace or this machine, with name=value fields; without one, their list.",
    example: { operation: "tasks.list", fields: ["state=queued"] },
    args: ["operation"],
    rest: "fields",
    own: [new Option("-y, --yes", "do not ask before an operation that takes something away")],
    run: async ({ operation: name, fields, input: file }, options) => {
      if (name === undefined) return ok(list(cli));
      if (!isCallable(name)) {
        const close = callable.filter((one) => isClose(name, one));
        const hint = close.length > 0 ? `Did you mean ${close.join(" or ")}?` : "`shim call` lists them.";
        return notFound(`there is no operation ${name.slice(0, 60)}. ${hint}`);
      }
      const input = await inputOf(cli, name, fields, file);
      if (!input.ok) return input;
      const { isDestructive, summary } = declarations[name];
      const refused = isDestructive ? await requireYes(cli, `${name}: ${summary}`, options) : null;
      if (refused) return refused;
      const answer = isMachineOperation(name)
        ? await cli.call(name, input.value)
        : await cli.withWorkspace((link) => callWorkspace(link, name, input.value));
      if (answer.ok) return ok({ data: answer.value, text: [JSON.stringify(answer.value, null, 2)], isVerbatim: true });
      const isMisused = exitOf(answer.error) === exitCodes.wrongUsage;
      return isMisused ? err({ ...answer.error, message: `${answer.error.message} ${exampleOf(name)}` }) : answer;
    },
  });
}

function isCallable(name: string): name is Callable {
  if (isMachineOperation(name)) return true;
  return isOperation(name) && name !== "chats.unregister" && !("isSocketOnly" in operations[name]);
}

const declarations = { ...operations, ...machineOperations };

const callable = [...operationNames, ...machineOperationNames].filter((name): name is Callable => isCallable(name));

function list(cli: Cli): Answer {
  const data = callable.map((name) => {
    const { summary, example, isDestructive = false, ...declared } = declarations[name];
    return { name, scope: "scope" in declared ? declared.scope : null, summary, example, isDestructive };
  });
  const table = cli.table(data, {
    OPERATION: ({ name }) => name,
    SCOPE: ({ scope }) => scope ?? "machine",
    "WHAT IT DOES": ({ summary }) => summary,
  });
  return { data, text: [table, "", "Next: `shim call tasks.list state=queued`."] };
}

async function inputOf(
  cli: Cli,
  name: Callable,
  fields: readonly string[],
  file: string | undefined,
): Promise<Result<Input>> {
  const bare = fields.find((field) => !/^\w+=/.test(field));
  if (bare !== undefined) return wrongUsage(`"${bare.slice(0, 60)}" is no field name=value. ${exampleOf(name)}`);
  const names = fields.map((field) => field.slice(0, field.indexOf("=")));
  const twice = names.find((field, at) => names.indexOf(field) !== at);
  if (twice !== undefined) return wrongUsage(`${twice} is given twice.`);
  const { shape }: z.ZodObject = declarations[name].input;
  const secret = names.find((field) => shape[field]?.meta()?.["isSecret"] === true);
  if (secret !== undefined)
    return wrongUsage(`${secret} is a secret, and arguments are visible to others: give it with --input.`);
  const texts = fields.map((field, at) => [names[at], field.slice(field.indexOf("=") + 1)]);
  const given = fromTexts(declarations[name].input, Object.fromEntries(texts));
  if (file === undefined) return ok(given);
  const read = await readJson(cli, file);
  if (!read.ok) return read;
  return isRecord(read.value)
    ? ok({ ...read.value, ...given })
    : wrongUsage(`The input is no JSON object. ${exampleOf(name)}`);
}

function exampleOf(name: Callable): string {
  const { self: _, ...example } = declarations[name].example as Input;
  const fields = Object.entries(example).map(
    ([field, value]) => `${field}=${shellWord(typeof value === "string" ? value : JSON.stringify(value))}`,
  );
  return `Such as: \`${["shim call", name, ...fields].join(" ")}\`.`;
}

async function callWorkspace(link: Workspace, name: CallName, input: Input): Promise<Result<unknown>> {
  const registered = "self" in declarations[name].input.shape ? await link.self() : null;
  if (registered?.ok === false) return registered;
  return link.call(name, { ...(registered ? { self: registered.value } : {}), ...input });
}

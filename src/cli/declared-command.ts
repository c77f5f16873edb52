import { resolve } from "node:path";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type * as z from "zod";
import type { Form } from "../contract/machine/operation.ts";
import { shellWord } from "../platform/shell-line.ts";
import { messageOf } from "../shared/error.ts";
import { type InputField, inputFields, fromTexts } from "../shared/input-fields.ts";
import { formatIssues } from "../shared/bad-input.ts";
import { wrongWords } from "./answer.ts";
import type { Cli, CommandResult, CommonOptions } from "./cli.ts";
import { durationText, parseDuration, parseTime } from "../shared/time-text.ts";

export type Given = Readonly<Record<string, unknown>>;

interface DeclaredCommand<Input extends z.ZodObject = z.ZodObject> {
  readonly input: Input;
  readonly summary: string;
  /** Input that its help shows as it is typed. */
  readonly example?: Given | undefined;
  readonly args?: readonly string[] | undefined;
  readonly rest?: string | undefined;
  /** Fields that the command line does not offer. */
  readonly hidden?: readonly string[];
  /** Options besides those of the input. */
  readonly own?: readonly Option[];
  /** True: it asks before it changes something. */
  readonly asks?: boolean;
}

/**
 * Gives a command the help, arguments and options of a declaration, when it is typed or listed.
 *
 * @param run gets the typed words as the declared input, which is not checked yet
 */
export function declareCommand(
  cli: Cli,
  command: Command,
  declaration: DeclaredCommand,
  run: (given: Given, options: Given & CommonOptions) => CommandResult | Promise<CommandResult>,
): Command {
  cli.declareLater(command, () => declareNow(cli, command, declaration, run));
  return command;
}

/** The same, at once. */
export function declareNow(
  cli: Cli,
  command: Command,
  { input, summary, example = {}, args = [], rest, hidden = [], own = [], asks = false }: DeclaredCommand,
  run: (given: Given, options: Given & CommonOptions) => CommandResult | Promise<CommandResult>,
): void {
  const { properties: inputs, required } = inputFields(input);
  const words = rest === undefined ? args : [...args, rest];
  // A summary is a sentence, a description of a command none.
  command.description(`${summary.charAt(0).toLowerCase()}${summary.slice(1).replace(/\.$/, "")}`);
  for (const field of args) command.addArgument(argumentOf(cli, field, inputs[field], required.includes(field)));
  if (rest !== undefined) command.argument(required.includes(rest) ? `<${rest}...>` : `[${rest}...]`);
  const others = Object.entries(inputs).filter(([field]) => ![...words, ...hidden].includes(field));
  const fields = others.map(([field, schema]) => {
    const { excludes = [] } = schema as { readonly excludes?: string[] };
    const option = optionOf(cli, field, schema).makeOptionMandatory(required.includes(field)).conflicts(excludes);
    command.addOption(option);
    return { field, flag: option.long ?? field, name: option.attributeName(), isParsed: option.parseArg !== undefined };
  });
  if (asks) command.option("-y, --yes", "do not ask");
  for (const option of own) command.addOption(option);
  const flags = new Map(fields.map(({ field, flag }) => [field, flag]));
  const body = async (options: Given & CommonOptions, ...values: unknown[]): Promise<CommandResult> => {
    const all = [
      ...fields.map(({ field, name, isParsed }) => ({ field, isParsed, value: options[name] })),
      ...words.map((field, at) => ({ field, isParsed: false, value: joined(values[at], inputs[field]) })),
    ];
    const given = toInput(input, all);
    const problem = wrongFields(input, given, (field) => flags.get(field) ?? field);
    return problem === null ? run(given, options) : wrongWords(problem);
  };
  const positional = words.flatMap((field) => (field in example ? [exampleText(inputs[field], example[field])] : []));
  const optional = [
    ...fields.flatMap(({ field, flag }) => exampleOption(flag, inputs[field], example[field])),
    ...own.flatMap((option) => exampleOption(option.long ?? "", undefined, example[option.attributeName()])),
  ];
  cli.define(command, [...positional, ...optional].join(" "), body);
}

/** Faults of the typed values, each named as it is typed; null: none. */
function wrongFields({ shape }: z.ZodObject, given: Given, nameOf: (field: string) => string): string | null {
  const wrong = Object.entries(given).flatMap(([field, value]) => {
    const checked = shape[field]?.safeParse(value);
    return checked === undefined || checked.success ? [] : [`${nameOf(field)}: ${formatIssues(checked.error)}.`];
  });
  return wrong.length === 0 ? null : wrong.join("\n");
}

/** A value of an example as it is typed. */
function exampleText(field: InputField | undefined, value: unknown): string {
  if (Array.isArray(value)) return value.map((one) => exampleText(field?.items, one)).join(" ");
  const form = field && formOf(field);
  if (typeof value === "number" && form === "duration") return durationText(value);
  if (typeof value === "number" && form === "moment") return new Date(value).toISOString();
  return shellWord(typeof value === "string" ? value : JSON.stringify(value));
}

function exampleOption(flag: string, field: InputField | undefined, value: unknown): string[] {
  if (value === undefined || value === field?.default) return [];
  if (typeof value === "boolean") return [flag];
  const isJson = field !== undefined && field.type === undefined && field.anyOf === undefined;
  return [`${flag} ${exampleText(field, isJson ? JSON.stringify(value) : value)}`];
}

/** The words of a field that takes all. */
function joined(value: unknown, field?: InputField): unknown {
  return Array.isArray(value) && field?.type !== "array" ? value.join(" ") : value;
}

interface Typed {
  readonly field: string;
  readonly value: unknown;
  /** By its option. */
  readonly isParsed: boolean;
}

/** Words of a command line as values. */
function toInput(schema: z.ZodObject, all: readonly Typed[]): Given {
  const texts = all.flatMap(({ field, value, isParsed }): (readonly [string, string])[] =>
    typeof value === "string" && !isParsed ? [[field, value]] : [],
  );
  const known = all.filter(({ value }) => value !== undefined).map(({ field, value }) => [field, value] as const);
  return { ...Object.fromEntries(known), ...fromTexts(schema, Object.fromEntries(texts)) };
}

function argumentOf(cli: Cli, field: string, schema: InputField | undefined, isRequired: boolean): Argument {
  const form = schema && formOf(schema);
  const name = wordOf(field, schema);
  const argument = new Argument(isRequired ? `<${name}>` : `[${name}]`);
  if (schema?.enum) return argument.choices(schema.enum);
  return form === undefined ? argument : argument.argParser((text) => parse(cli, form, text));
}

function formOf({ form }: InputField): Form | undefined {
  return form as Form | undefined;
}

/** The word for its value in a help. */
function wordOf(field: string, schema: InputField | undefined): string {
  const { word, form } = schema ?? {};
  return typeof word === "string" ? word : (placeholders[form as Form] ?? field);
}

function optionOf(cli: Cli, field: string, schema: InputField): Option {
  const { type, enum: choices, default: usual, description } = schema;
  const form = formOf(schema);
  const flag = flagOf(form === "duration" ? field.replace(/Ms$/, "") : field);
  // An option switches off a thing that holds without it.
  if (type === "boolean") return new Option(usual === true ? flag.replace("--", "--no-") : flag, description);
  if (type === "array") return listOption(field, schema);
  // A default of commander would hide what is given to a subcommand with the same option.
  const words = [
    description ?? [],
    usual === undefined || usual === null ? [] : `(default: ${defaultText(usual, form)})`,
  ];
  const option = new Option(`${flag} <${wordOf(field, schema)}>`, words.flat().join(" "));
  if (choices) return option.choices(choices);
  if (type === undefined && schema.anyOf === undefined) return option.argParser(parseJson);
  return form === undefined ? option : option.argParser((text) => parse(cli, form, text));
}

function defaultText(usual: unknown, form: Form | undefined): string {
  if (form === "duration" && typeof usual === "number") return durationText(usual);
  return JSON.stringify(usual).replaceAll('"', "");
}

function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Named by one item, since it can be repeated. */
function listOption(field: string, { items, description }: InputField): Option {
  const name = field.replace(/ies$/, "y").replace(/s$/, "");
  const option = new Option(`${flagOf(name)} <${field}...>`, description);
  return option.argParser((text, before: readonly unknown[] | undefined) => [
    ...(before ?? []),
    items?.type === "integer" ? parseNumber(text) : text,
  ]);
}

function parseNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a number.");
}

/** A text without quotes is none: it may be JSON with a mistake. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It is not JSON: ${messageOf(error)}.`);
  }
}

const placeholders: Readonly<Record<Form, string>> = {
  moment: "time",
  duration: "duration",
  folder: "folder",
  file: "file",
  "session-or-project": "session-or-project",
};

function parse(cli: Cli, form: Form, text: string): number | string {
  if (form === "session-or-project") return /[\\/]|^[.~]/.test(text) ? resolve(cli.io.cwd, text) : text;
  if (form === "folder" || form === "file") return resolve(cli.io.cwd, text);
  const value = parsers[form](text, cli.io.now());
  if (value === null) throw new InvalidArgumentError(advice[form]);
  return value;
}

const parsers: Readonly<Record<"moment" | "duration", (text: string, now: number) => number | null>> = {
  moment: parseTime,
  duration: parseDuration,
};

const advice: Readonly<Record<"moment" | "duration", string>> = {
  moment: "Give a duration (2d, 3h, 15m) or a date (2026-11-20, 2026-11-20T08:00).",
  duration: "Give a duration such as 30m, 2h or 1d.",
};

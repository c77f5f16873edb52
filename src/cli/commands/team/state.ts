import { InvalidArgumentError, type Command } from "commander";
import { age, oneLine } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { notFound } from "../../answer.ts";
import { revision, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { defineList } from "../../list-command.ts";
import { parseJsonOrText } from "../../task-input.ts";

interface SetOptions extends CommonOptions {
  readonly ifVersion?: number;
  readonly ttl?: number;
}

export function addState(program: Command, cli: Cli): void {
  const command = program.command("state").description("shared, versioned values");
  cli.define(command.command("get <key>").description("one value"), (_options: CommonOptions, key: string) =>
    withLink(cli, (link) => getState(link, key)),
  );
  const set = command
    .command("set <key> <value>")
    .description("set a value: JSON, otherwise stored as text")
    .option("--if-version <n>", "only at this version (0: only if the key does not exist)", revision)
    .option("--ttl <seconds>", "seconds until it expires", seconds);
  cli.define(set, (options: SetOptions, key: string, value: string) =>
    withLink(cli, (link) => setState(link, key, value, options)),
  );
  cli.define(command.command("delete <key>").description("delete a value"), (_options: CommonOptions, key: string) =>
    withLink(cli, (link) => deleteState(link, key)),
  );
  defineList(cli, command.command("list [prefix]").description("keys, by prefix"), {
    operation: "state.list",
    input: (prefix = "") => ({ prefix }),
    columns: {
      KEY: ({ key }) => key,
      VERSION: ({ version }) => String(version),
      SET: ({ ageMs }) => `${age(ageMs)} ago`,
      VALUE: ({ value }) => oneLine(JSON.stringify(value), 60),
    },
    empty: "No keys.\n",
  });
}

const maxSeconds = 31_536_000;

function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d{1,8}$/.test(text) || value < 1 || value > maxSeconds)
    throw new InvalidArgumentError(`It must be 1 to ${maxSeconds} seconds.`);
  return value;
}

async function getState(link: CoordinatorLink, key: string): Promise<CommandResult> {
  const found = await link.call("state.get", { key });
  if (!found.ok) return found;
  const { entry } = found.value;
  return entry ? ok({ data: entry, text: `${JSON.stringify(entry.value)}\n` }) : notFound(`there is no key ${key}.`);
}

async function setState(
  link: CoordinatorLink,
  key: string,
  text: string,
  { ifVersion, ttl }: SetOptions,
): Promise<CommandResult> {
  const ttlMs = ttl === undefined ? undefined : ttl * 1_000;
  const value = parseJsonOrText(text);
  const stored = await link.call("state.set", { key, value, ...omitUndefined({ ifVersion, ttlMs }) });
  return stored.ok ? ok({ data: stored.value, text: `${key} is set, version ${stored.value.version}.\n` }) : stored;
}

async function deleteState(link: CoordinatorLink, key: string): Promise<CommandResult> {
  const done = await link.call("state.delete", { key });
  if (!done.ok) return done;
  return done.value.isDeleted
    ? ok({ data: done.value, text: `${key} is deleted.\n` })
    : notFound(`there is no key ${key}.`);
}

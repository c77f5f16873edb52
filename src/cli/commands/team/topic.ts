import type { Command } from "commander";
import type { Json } from "../../../contract/json.ts";
import { ok } from "../../../shared/result.ts";
import { notFound, wrongUsage, type CliResult } from "../../answer.ts";
import { type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { needsAdmin } from "../../needs-admin.ts";
import { fetchPages } from "../../../coordinator-client/fetch-pages.ts";
import { defineList } from "../../list-command.ts";
import { oneLine } from "../../screen-text.ts";
import { parseJson, readJsonFile, readJsonInput } from "../../task-input.ts";

interface Options extends CommonOptions {
  readonly schema?: string;
  readonly file?: string;
}

export function addTopic(program: Command, cli: Cli): void {
  const command = program.command("topic").description("JSON schemas for messages to topics");
  const define = command
    .command("define <topic> [-]")
    .description("refuse messages to a topic that do not fit a JSON schema (-: from stdin)")
    .option("--schema <json>", "the schema")
    .option("--file <file>", "the same, from a file");
  cli.define(define, (options: Options, topic: string, dash?: string) => defineTopic(cli, options, topic, dash));
  defineList(cli, command.command("list").description("topics that have a schema"), {
    operation: "messages.list-topic-schemas",
    input: () => ({}),
    columns: { TOPIC: ({ topic }) => topic, SCHEMA: ({ schema }) => oneLine(JSON.stringify(schema), 200) },
    empty: "No topic has a schema.\n",
    isChecked: true,
  });
  const remove = command.command("remove <topic>").description("accept any message to a topic again");
  cli.define(remove, (_options: CommonOptions, topic: string) =>
    withCheckedLink(cli, (link) => removeTopic(link, topic)),
  );
}

async function defineTopic(cli: Cli, options: Options, topic: string, dash?: string): Promise<CommandResult> {
  const read = await readSchema(cli, options, dash);
  if (!read.ok) return read;
  const schema = read.value;
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    return wrongUsage('a schema is a JSON object, such as {"type": "object", "required": ["job"]}.');
  }
  return withCheckedLink(cli, async (link) => {
    const done = await link.call("messages.set-topic-schema", { topic, schema });
    if (!done.ok) return needsAdmin(link, "Defining topics", done);
    return ok({ data: done.value, text: `Messages to topic:${topic} must fit the schema from now on.\n` });
  });
}

async function readSchema(cli: Cli, { schema, file }: Options, dash: string | undefined): Promise<CliResult<Json>> {
  if (dash !== undefined && dash !== "-") return wrongUsage(`only - may follow the topic, not "${dash.slice(0, 60)}".`);
  const given = [schema, file, dash].filter((one) => one !== undefined);
  if (given.length !== 1) return wrongUsage("give one schema: --schema, --file or -.");
  if (schema !== undefined) return parseJson(schema, "--schema");
  return file === undefined ? readJsonInput(cli) : readJsonFile(cli, file);
}

async function removeTopic(link: CoordinatorLink, topic: string): Promise<CommandResult> {
  const listed = await fetchPages(link, "messages.list-topic-schemas", {});
  if (!listed.ok) return listed;
  if (!listed.value.topics.some((one) => one.topic === topic)) return notFound(`topic ${topic} has no schema.`);
  const done = await link.call("messages.set-topic-schema", { topic, schema: null });
  if (!done.ok) return needsAdmin(link, "Defining topics", done);
  return ok({ data: done.value, text: `Topic ${topic} accepts any message again.\n` });
}

import type { Command } from "commander";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../../cli.ts";
import { requireYes } from "../../require-yes.ts";
import { readTextFile } from "../../task-input.ts";
import { callWithAnswers } from "./answers.ts";
import { syncLines } from "./sync.ts";

interface RekeyOptions extends CommonOptions {
  readonly code?: boolean;
  readonly yes?: boolean;
}

interface KeyOptions extends CommonOptions {
  readonly keyFile?: string;
}

export function addKey(join: Command, cli: Cli): void {
  const rekey = join
    .command("rekey")
    .description("make a new key for the workspace: all that this machine has stored is sealed and sent again")
    .option("--code", "only show the current key")
    .option("-y, --yes", "do not ask");
  cli.define(rekey, (options: RekeyOptions) => (options.code ? showKey(cli, options) : changeKey(cli, options)));
  const key = join
    .command("key")
    .description("set the workspace's key; it is read from stdin, or asked for")
    .option("--key-file <file>", "file with the key of the workspace");
  cli.define(key, (options: KeyOptions) => adoptKey(cli, options));
}

async function showKey(cli: Cli, options: RekeyOptions): Promise<CommandResult> {
  const refused = await requireYes(cli, "Show the key of the workspace on this screen?", options);
  const shown = refused ?? (await cli.call("workspace.key", {}));
  return shown.ok ? ok({ data: shown.value, text: keyText(shown.value.key) }) : shown;
}

const rekeyQuestion =
  "Make a new key? Everything that this machine has stored is sealed and sent again; other machines continue once they have the new key.";

async function changeKey(cli: Cli, options: RekeyOptions): Promise<CommandResult> {
  const refused = await requireYes(cli, rekeyQuestion, options);
  const changed = refused ?? (await cli.call("workspace.rekey", {}));
  if (!changed.ok) return changed;
  const { key, trouble } = changed.value;
  const sent =
    trouble === null
      ? syncLines(changed.value).join("\n")
      : `Not everything is sealed under the new key yet: ${trouble}.`;
  const text = `The workspace has a new key. ${sent}\n${keyText(key)}On the other machines: \`shim join key\`.\n`;
  return ok({ data: changed.value, text });
}

async function adoptKey(cli: Cli, { keyFile }: KeyOptions): Promise<CommandResult> {
  const isRead = keyFile === undefined && !cli.io.isInteractive;
  const code = readCode(cli, keyFile, isRead ? await cli.io.readInput() : undefined);
  if (!code.ok) return code;
  const adopted = await callWithAnswers(cli, "workspace.adopt", omitUndefined({ key: code.value }), {});
  if (!adopted.ok) return adopted;
  const { keyId, key } = adopted.value;
  const text = `This machine has key ${keyId} of the workspace.\n${key === null ? "" : keyText(key)}`;
  return ok({ data: adopted.value, text });
}

/** A key is no argument: those are visible to others. */
export function readCode(cli: Cli, file: string | undefined, line = ""): CliResult<string | undefined> {
  const text = file === undefined ? ok(line) : readTextFile(cli, file, "the key of the workspace", 1_000);
  return text.ok ? ok(text.value.trim() || undefined) : text;
}

export function keyText(code: string): string {
  return [
    `Key of the workspace: ${code}`,
    "Other machines ask for it when they join. Keep it where you keep passwords: anyone who has it and a token can read what is synced;",
    "when every machine that has it is lost, what is synced is lost too. There is no other copy, not even at the coordinator.",
    "",
  ].join("\n");
}

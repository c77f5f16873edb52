import { dirname, join } from "node:path";
import type { Command } from "commander";
import { programFolder } from "../../../installer/program-copy.ts";
import { originOf, updateCommands } from "../../../platform/origin.ts";
import { findRealPath } from "../../../platform/shim-command.ts";
import { version } from "../../../platform/version.ts";
import { ok } from "../../../shared/result.ts";
import { failed, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";

/** [IP5] The only command that asks the network for a version; it installs nothing. */
export function addUpdate(program: Command, cli: Cli): void {
  const command = program.command("update").description("ask npm whether there is a newer version; installs nothing");
  cli.define(command, async () => update(cli));
}

function update(cli: Cli): CommandResult {
  const latest = askNpm(cli);
  if (!latest.ok) return latest;
  const { launch } = cli.io;
  const origin = originOf(findRealPath(launch.script) ?? launch.script, programFolder(cli.paths.home));
  const isNewer = compareVersions(latest.value, version) > 0;
  const command = updateCommands[origin];
  const text = isNewer
    ? `SHIM ${latest.value} is there; this is ${version}. To update:\n  ${command}\n`
    : `SHIM ${version} is the newest version.\n`;
  return ok({ data: { version, latest: latest.value, isNewer, command }, text });
}

const question = ["view", "shim-mcp", "version", "--json", "--fetch-retries=0", "--fetch-timeout=10000"];

function askNpm({ io }: Cli): CliResult<string> {
  // Windows starts npm by a script, which takes a shell; npm lies beside its Node.
  const beside = join(dirname(io.launch.node), "node_modules", "npm", "bin", "npm-cli.js");
  const ran = io.machine.exists(beside)
    ? io.runQuietly(io.launch.node, [beside, ...question])
    : io.runQuietly("npm", question);
  if (ran === null)
    return failed("npm_missing", "npm was not found, and only npm is asked. Install it, or see npmjs.com.");
  const latest = /"(\d+\.\d+\.\d+(?!\d)[^"\s]*)"/.exec(ran.code === 0 ? ran.text : "")?.[1];
  return latest === undefined ? failed(...reasonOf(ran.text)) : ok(latest);
}

function reasonOf(text: string): [code: string, message: string] {
  if (/\bE404\b/.test(text)) return ["not_published", "the registry that npm uses has no package shim-mcp."];
  if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ECONNRESET)\b/.test(text))
    return ["offline", "npm does not reach its registry. Ask again with a connection; nothing else needs one."];
  return ["npm_failed", `npm did not answer with a version: ${text.trim().slice(0, 300)}`];
}

/** By the numbers; a prerelease of the same numbers is not newer. */
function compareVersions(one: string, other: string): number {
  const [left = "", right = ""] = [one, other].map((text) => text.split(/[-+]/)[0]);
  return left.localeCompare(right, "en", { numeric: true });
}

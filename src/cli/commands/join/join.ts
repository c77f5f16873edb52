import type { Command } from "commander";
import type { Cli, CommonOptions } from "../../cli.ts";
import { joinWorkspace, type JoinOptions } from "./edge-join.ts";
import { addLeave } from "./leave.ts";
import { status } from "./status.ts";
import { rekeyWorkspace, syncNow, adoptKey } from "./sync.ts";
import { addTokens } from "./tokens.ts";
import { createOne, devUrl } from "./workspaces.ts";

const importHelp = "import this machine's earlier work: sessions, and tasks that have not started";
const keepHelp = "keep this machine's earlier work in its local files";

export function addJoin(program: Command, cli: Cli): void {
  const join = program
    .command("join <workspace>")
    .description("join a workspace that machines share; token and key are read from stdin, a line each, or asked for")
    .option("--url <url>", "URL of the coordinator")
    .option("--key-file <file>", "file with the key of the workspace")
    .option("--no-sync", "only coordinate: sessions and checkpoints stay on this machine")
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(join, (options: JoinOptions, name: string) => joinWorkspace(cli, options, name));
  cli.define(join.command("status").description("the coordinator of this machine, and its state"), () => status(cli));
  addLeave(join, cli);
  addSync(join, cli);
  addTokens(join, cli);
  addWorkspaces(join, cli);
}

function addWorkspaces(join: Command, cli: Cli): void {
  const workspaces = join.command("workspaces").description("workspaces of a coordinator");
  const create = workspaces
    .command("create <name>")
    .description("make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine")
    .option("--url <url>", `URL of the coordinator (default: ${devUrl})`)
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(create, (options: CommonOptions, name: string) => createOne(cli, options, name));
}

function addSync(join: Command, cli: Cli): void {
  const sync = join.command("sync").description("send local changes, and fetch those of other machines");
  cli.define(sync, () => syncNow(cli));
  const rekey = join
    .command("rekey")
    .description("make a new key for the workspace: all that this machine has stored is sealed and sent again")
    .option("--code", "only show the current key")
    .option("-y, --yes", "do not ask");
  cli.define(rekey, (options: CommonOptions) => rekeyWorkspace(cli, options));
  const key = join
    .command("key")
    .description("set the workspace's key; it is read from stdin, or asked for")
    .option("--key-file <file>", "file with the key of the workspace");
  cli.define(key, (options: CommonOptions) => adoptKey(cli, options));
}

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../../cli.ts";
import { joinWorkspace, type JoinOptions } from "./edge-join.ts";
import { leaveWorkspace, type LeaveOptions } from "./edge-leave.ts";
import { status } from "./edge-status.ts";
import { rekeyWorkspace, syncNow, adoptKey } from "./edge-sync.ts";
import { addTokens } from "./edge-tokens.ts";
import { createOne, devUrl } from "./edge-workspace.ts";

const importHelp = "import this machine's earlier work: sessions, and tasks that have not started";
const keepHelp = "keep this machine's earlier work in its local files";

export function addEdge(program: Command, cli: Cli): void {
  const edge = program
    .command("edge")
    .description("a coordinator that machines share; without one each machine has its own");
  const workspace = edge.command("workspace").description("workspaces of a coordinator");
  const create = workspace
    .command("create <name>")
    .description("make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine")
    .option("--url <url>", `URL of the coordinator (default: ${devUrl})`)
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(create, (options: CommonOptions, name: string) => createOne(cli, options, name));
  const join = edge
    .command("join <workspace>")
    .description("join a workspace with this machine; token and key are read from stdin, a line each, or asked for")
    .requiredOption("--url <url>", "URL of the coordinator")
    .option("--key-file <file>", "file with the key of the workspace")
    .option("--no-sync", "only coordinate: sessions and checkpoints stay on this machine")
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(join, (options: JoinOptions, name: string) => joinWorkspace(cli, options, name));
  cli.define(edge.command("status").description("the coordinator of this machine, and its state"), () => status(cli));
  const leave = edge
    .command("leave")
    .description("leave the workspace, and use this machine's own coordinator again")
    .option("--forget", "also delete what this machine has stored there")
    .option("-y, --yes", "do not ask");
  cli.define(leave, (options: LeaveOptions) => leaveWorkspace(cli, options));
  addSync(edge, cli);
  addTokens(edge, cli);
}

function addSync(edge: Command, cli: Cli): void {
  const sync = edge.command("sync").description("send local changes, and fetch those of other machines");
  cli.define(sync, () => syncNow(cli));
  const rekey = edge
    .command("rekey")
    .description("make a new key for the workspace: all that this machine has stored is sealed and sent again")
    .option("--code", "only show the current key")
    .option("-y, --yes", "do not ask");
  cli.define(rekey, (options: CommonOptions) => rekeyWorkspace(cli, options));
  const key = edge
    .command("key")
    .description("set the workspace's key; it is read from stdin, or asked for")
    .option("--key-file <file>", "file with the key of the workspace");
  cli.define(key, (options: CommonOptions) => adoptKey(cli, options));
}

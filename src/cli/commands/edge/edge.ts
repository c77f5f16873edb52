import type { Command } from "commander";
import type { Cli, CommonOptions } from "../../cli.ts";
import { joinWorkspace, type JoinOptions } from "./edge-join.ts";
import { leaveWorkspace, type LeaveOptions } from "./edge-leave.ts";
import { status } from "./edge-status.ts";
import { rekeyWorkspace, syncNow, adoptKey } from "./edge-sync.ts";
import { addTokens } from "./edge-tokens.ts";
import { createOne, devUrl } from "./edge-workspace.ts";

const importHelp = "what this machine has done by itself comes along: sessions, and tasks that have not begun";
const keepHelp = "what this machine has done by itself stays in its own files";

export function addEdge(program: Command, cli: Cli): void {
  const edge = program
    .command("edge")
    .description("a coordinator that machines share; without one each machine has its own");
  const workspace = edge.command("workspace").description("workspaces of a coordinator");
  const create = workspace
    .command("create <name>")
    .description("make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine")
    .option("--url <url>", `where the coordinator is (default: ${devUrl})`)
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(create, (options: CommonOptions, name: string) => createOne(cli, options, name));
  const join = edge
    .command("join <workspace>")
    .description("join a workspace with this machine; token and key are read from stdin, a line each, or asked for")
    .requiredOption("--url <url>", "where the coordinator is")
    .option("--key-file <file>", "holds the key of the workspace")
    .option("--no-sync", "only coordinate: sessions and checkpoints stay on this machine")
    .option("--import", importHelp)
    .option("--keep", keepHelp)
    .option("-y, --yes", "do not ask");
  cli.define(join, (options: JoinOptions, name: string) => joinWorkspace(cli, options, name));
  cli.define(edge.command("status").description("who decides for this machine, and how it is"), () => status(cli));
  const leave = edge
    .command("leave")
    .description("back to this machine's own file")
    .option("--forget", "delete there what this machine has stored")
    .option("-y, --yes", "do not ask");
  cli.define(leave, (options: LeaveOptions) => leaveWorkspace(cli, options));
  addSync(edge, cli);
  addTokens(edge, cli);
}

function addSync(edge: Command, cli: Cli): void {
  const sync = edge.command("sync").description("send what has changed here, and ask for what has changed elsewhere");
  cli.define(sync, () => syncNow(cli));
  const rekey = edge
    .command("rekey")
    .description("another key for the workspace: all that this machine holds is sealed and sent again")
    .option("--code", "only show the present key")
    .option("-y, --yes", "do not ask");
  cli.define(rekey, (options: CommonOptions) => rekeyWorkspace(cli, options));
  const key = edge
    .command("key")
    .description("take the workspace's key, from stdin or asked for")
    .option("--key-file <file>", "holds the key of the workspace");
  cli.define(key, (options: CommonOptions) => adoptKey(cli, options));
}

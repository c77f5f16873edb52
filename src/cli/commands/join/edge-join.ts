import { hostname } from "node:os";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { checkNames, keptAdminToken as keptAdmin, confirmReplace } from "./membership.ts";
import { readTokenClaim, isMachineToken } from "../../../coordinator-client/edge/machine-token.ts";
import { completeJoin, isMoving, chooseLocalWork, readLocalWork } from "./join-workspace.ts";
import { findKey, saveKey, type FoundKey } from "./workspace-key-input.ts";

export interface JoinOptions extends CommonOptions {
  readonly url?: string;
  readonly yes?: boolean;
  readonly keyFile?: string;
  readonly sync?: boolean;
  readonly import?: boolean;
  readonly keep?: boolean;
}

export async function joinWorkspace(cli: Cli, options: JoinOptions, name: string): Promise<CommandResult> {
  const { url } = options;
  if (url === undefined) return wrongUsage("give the coordinator: `shim join <workspace> --url <url>`.");
  const checked = checkNames(url, name);
  if (!checked.ok) return checked;
  const replaceRefusal = await confirmReplace(cli, options, { url, workspace: name });
  if (replaceRefusal) return replaceRefusal;
  const [token = "", line] = (await tokenText(cli)).trim().split(/\r?\n/);
  if (!isMachineToken(token.trim())) return wrongUsage("give the token on stdin: `shim join ... < token-file`.");
  const edge: EdgeConfig = {
    url,
    workspace: name,
    machine: readTokenClaim(token, "m") ?? hostname(),
    token: token.trim(),
    ...keptAdmin(cli, url, name),
  };
  return cli.withWorkspace((link) => joinByLink(cli, options, edge, link, line), edge);
}

async function joinByLink(
  cli: Cli,
  options: JoinOptions,
  edge: EdgeConfig,
  link: Workspace,
  line: string | undefined,
): Promise<CommandResult> {
  const health = await link.call("health", {});
  if (!health.ok) return health;
  const found = options.sync === false ? ok(null) : await keyFor(cli, options, edge, link, line);
  return found.ok ? joinWith(cli, options, edge, link, found.value) : found;
}

async function tokenText(cli: Cli): Promise<string> {
  return cli.io.isInteractive ? cli.io.ask("Token of this machine (shim_): ") : cli.io.readInput();
}

async function keyFor(
  cli: Cli,
  { keyFile }: JoinOptions,
  edge: EdgeConfig,
  link: Workspace,
  line: string | undefined,
): Promise<CliResult<FoundKey | null>> {
  const syncStatus = await link.call("sync.status", {});
  if (!syncStatus.ok) {
    if (!codesWithoutSync.has(syncStatus.error.code)) return syncStatus;
    cli.progress(`Nothing will be synced: ${syncStatus.error.message}`);
    return ok(null);
  }
  return findKey(cli, edge, { line, ...omitUndefined({ keyFile }) }, syncStatus.value.keyId);
}

const codesWithoutSync: ReadonlySet<string> = new Set(["unknown_operation", "forbidden"]);

async function joinWith(
  cli: Cli,
  options: JoinOptions,
  edge: EdgeConfig,
  link: Workspace,
  foundKey: FoundKey | null,
): Promise<CommandResult> {
  const work = await readLocalWork(cli);
  const choice = await chooseLocalWork(cli, options, work);
  if (!choice.ok) return choice;
  // The key must be on the disk before anything is sealed under it.
  const saved = foundKey ? await saveKey(cli, edge, link, foundKey) : ok(undefined);
  if (!saved.ok) return saved;
  return completeJoin(cli, {
    edge,
    link,
    found: foundKey,
    work,
    isImporting: choice.value,
    isSynced: options.sync !== false,
    isMoving: isMoving(cli, edge),
  });
}

import { hostname } from "node:os";
import type { OutputOf } from "../../contract/operations.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Edge } from "../../local-mcp/authority.ts";
import { wrongUsage, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { remote, type Coordination } from "../coordination.ts";
import { checkedNames, kept as keptAdmin, mayReplace } from "../edge-membership.ts";
import { claimOf, isMachineToken } from "../../local-mcp/edge/machine-token.ts";
import { comeIn, isMoving, whatOfLocalWork } from "../join-workspace.ts";
import { localWork } from "../local-work.ts";
import { findKey, kept, type FoundKey } from "../workspace-key-input.ts";

export interface JoinOptions extends Common {
  readonly url: string;
  readonly yes?: boolean;
  readonly keyFile?: string;
  readonly sync?: boolean;
  readonly import?: boolean;
  readonly keep?: boolean;
}

/** Nothing is changed before everything is known to be right. */
export async function joinOne(cli: Cli, options: JoinOptions, name: string): Promise<Outcome> {
  const { url } = options;
  const checked = checkedNames(url, name);
  if (!checked.ok) return checked;
  const may = await mayReplace(cli, options, { url, workspace: name });
  if (may) return may;
  const [token = "", line] = (await tokenText(cli)).trim().split(/\r?\n/);
  if (!isMachineToken(token.trim())) return wrongUsage("give the token on stdin: `shim edge join ... < token-file`.");
  const edge: Edge = {
    url,
    workspace: name,
    machine: claimOf(token, "m") ?? hostname(),
    token: token.trim(),
    ...keptAdmin(cli, url, name),
  };
  const link = remote(edge, edge.token);
  if (!link.ok) return link;
  const outcome = await joinOver(cli, options, edge, link.value, line);
  link.value.close();
  return outcome;
}

async function joinOver(
  cli: Cli,
  options: JoinOptions,
  edge: Edge,
  link: Coordination,
  line: string | undefined,
): Promise<Outcome> {
  const health = await link.call("health", {});
  if (!health.ok) return health;
  const found = options.sync === false ? ok(null) : await keyFor(cli, options, edge, link, line);
  return found.ok ? joinWith(cli, options, edge, link, found.value) : found;
}

async function tokenText(cli: Cli): Promise<string> {
  return cli.io.isInteractive ? cli.io.ask("Token of this machine (shim_): ") : cli.io.readInput();
}

/** Null: this coordinator syncs nothing. */
async function keyFor(
  cli: Cli,
  { keyFile }: JoinOptions,
  edge: Edge,
  link: Coordination,
  line: string | undefined,
): Promise<Result<FoundKey | null, Refused["error"]>> {
  const there = await link.call("sync.status", {});
  if (!there.ok) {
    if (!isWithoutSync.has(there.error.code)) return there;
    cli.progress(`Nothing will be synced: ${there.error.message}`);
    return ok(null);
  }
  const key: OutputOf<"sync.status">["keyId"] = there.value.keyId;
  return findKey(cli, edge, { line, ...(keyFile === undefined ? {} : { keyFile }) }, key);
}

/** An older coordinator, or a token that may not. */
const isWithoutSync: ReadonlySet<string> = new Set(["unknown_operation", "forbidden"]);

async function joinWith(
  cli: Cli,
  options: JoinOptions,
  edge: Edge,
  link: Coordination,
  found: FoundKey | null,
): Promise<Outcome> {
  const work = await localWork(cli);
  const choice = await whatOfLocalWork(cli, options, work);
  if (!choice.ok) return choice;
  // A key that is not on the disk would be lost with what is sealed under it.
  const written = found ? kept(cli, edge, found.key) : ok(undefined);
  if (!written.ok) return written;
  return comeIn(cli, {
    edge,
    link,
    found,
    work,
    isImporting: choice.value,
    isSynced: options.sync !== false,
    isMoving: isMoving(cli, edge),
  });
}

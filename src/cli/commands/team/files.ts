import type { Command } from "commander";
import type { Self } from "../../../contract/values.ts";
import { ok } from "../../../shared/result.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { notFound, type CliResult } from "../../answer.ts";
import type { Cli, Columns, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import {
  type FileScope,
  type ReservationView,
  toView,
  fileScope,
  releaseLease,
  listLeases,
  reserve,
  toResources,
} from "./reserved-files.ts";
import { durationUpTo } from "../../times.ts";
import { addFilesGuard } from "./commit-guard/guard-commands.ts";

interface Options extends CommonOptions {
  readonly for?: number;
}

/** Longest lease that does not live with its chat. */
const defaultTtlMs = 3_600_000;

export function addFiles(program: Command, cli: Cli): void {
  const command = program.command("files").description("files of this project that chats have reserved");
  const list = command.command("list").description("who has reserved what");
  cli.define(list, () => cli.withWorkspace((link) => listFiles(cli, link)));
  const take = command
    .command("reserve <path...>")
    .description('keep chats from editing these: a file, "folder/*" or "folder/**"')
    .option("--for <duration>", "how long, up to 1h (default: 1h)", durationUpTo(1));
  cli.define(take, (options: Options, ...paths: unknown[]) =>
    cli.withWorkspace((link) => reserveFiles(cli, link, paths.flat() as string[], options.for ?? defaultTtlMs)),
  );
  const release = command
    .command("release [path...]")
    .description("release what the command line has reserved: these, or all in this project");
  cli.define(release, (_options: Options, ...paths: unknown[]) =>
    cli.withWorkspace((link) => releaseFiles(cli, link, paths.flat() as string[])),
  );
  addFilesGuard(command, cli);
}

async function listFiles(cli: Cli, link: Workspace): Promise<CommandResult> {
  const scope = await fileScope(cli, link, true, cli.io.cwd);
  if (!scope.ok) return scope;
  const leases = await listLeases(scope.value);
  if (!leases.ok) return leases;
  const files = await Promise.all(leases.value.map((lease) => toView(scope.value, lease)));
  const text = cli.table(files, columns, "Nothing is reserved in this project.\n");
  return ok({ data: { project: scope.value.root, files }, text });
}

const columns: Columns<ReservationView> = {
  PATH: ({ path }) => path,
  "RESERVED BY": ({ name }) => oneLine(name ?? "-", 40),
  CHAT: ({ chat }) => chat,
  MACHINE: ({ machine }) => machine ?? "-",
  SINCE: ({ heldForMs }) => `${age(heldForMs)} ago`,
};

interface Target {
  readonly scope: FileScope;
  readonly resources: readonly string[];
  readonly self: Self;
}

async function findTarget(cli: Cli, link: Workspace, paths: readonly string[]): Promise<CliResult<Target>> {
  const scope = await fileScope(cli, link, false, cli.io.cwd);
  if (!scope.ok) return scope;
  const resources = toResources(cli, scope.value, paths);
  if (!resources.ok) return resources;
  const self = await link.self();
  return self.ok ? ok({ scope: scope.value, resources: resources.value, self: self.value }) : self;
}

async function reserveFiles(
  cli: Cli,
  link: Workspace,
  paths: readonly string[],
  ttlMs: number,
): Promise<CommandResult> {
  const target = await findTarget(cli, link, paths);
  if (!target.ok) return target;
  const { scope, resources, self } = target.value;
  const reserved = await reserve(scope, self, resources, ttlMs);
  if (!reserved.ok) return reserved;
  const files = await Promise.all(reserved.value.map((lease) => toView(scope, lease)));
  const names = files.map(({ path }) => path).join(", ");
  const text = `Reserved for ${age(ttlMs)}: ${names}. The edit tools of chats respect this; writes by a shell are not detected.\n`;
  return ok({ data: { files }, text });
}

async function releaseFiles(cli: Cli, link: Workspace, paths: readonly string[]): Promise<CommandResult> {
  const target = await findTarget(cli, link, paths);
  if (!target.ok) return target;
  const { scope, resources, self } = target.value;
  const leases = await listLeases(scope, self.chat);
  if (!leases.ok) return leases;
  const leasesToRelease = leases.value.filter(({ resource }) => paths.length === 0 || resources.includes(resource));
  if (leasesToRelease.length === 0)
    return notFound("the command line has reserved none of these here; `shim team files list` shows who has.");
  for (const lease of leasesToRelease) {
    const released = await releaseLease(scope, self, lease);
    if (!released.ok) return released;
  }
  const released = leasesToRelease.map(({ resource }) => resource.slice(scope.prefix.length));
  return ok({ data: { released }, text: `Released: ${released.join(", ")}.\n` });
}

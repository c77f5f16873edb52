import { dirname, join, relative, isAbsolute } from "node:path";
import type { Command } from "commander";
import type { Self } from "../../../contract/values.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import { notFound, exitCodes, failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, Columns, CommonOptions, CommandResult } from "../../cli.ts";
import { registerCommandLine, withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { oneLine } from "../../screen-text.ts";
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
import { durationUpTo } from "./lease-run.ts";
import { guardState, installGuard, removeGuard, type GuardCommand, type GuardState } from "./commit-guard/hook-file.ts";

interface Options extends CommonOptions {
  readonly for?: number;
}

/** Longest lease that does not live with its chat. */
const defaultTtlMs = 3_600_000;

export function addFiles(program: Command, cli: Cli): void {
  const command = program.command("files").description("files of this project that chats have reserved");
  const list = command.command("list").description("who has reserved what");
  cli.define(list, () => withLink(cli, (link) => listFiles(cli, link)));
  const take = command
    .command("reserve <path...>")
    .description('keep chats from editing these: a file, "folder/*" or "folder/**"')
    .option("--for <duration>", "how long, up to 1h (default: 1h)", durationUpTo(1));
  cli.define(take, (options: Options, ...paths: unknown[]) =>
    withLink(cli, (link) => reserveFiles(cli, link, paths.flat() as string[], options.for ?? defaultTtlMs)),
  );
  const release = command
    .command("release [path...]")
    .description("release what the command line has reserved: these, or all in this project");
  cli.define(release, (_options: Options, ...paths: unknown[]) =>
    withLink(cli, (link) => releaseFiles(cli, link, paths.flat() as string[])),
  );
  addFilesGuard(command, cli);
}

async function listFiles(cli: Cli, link: CoordinatorLink): Promise<CommandResult> {
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

async function findTarget(cli: Cli, link: CoordinatorLink, paths: readonly string[]): Promise<CliResult<Target>> {
  const scope = await fileScope(cli, link, false, cli.io.cwd);
  if (!scope.ok) return scope;
  const resources = toResources(cli, scope.value, paths);
  if (!resources.ok) return resources;
  const self = await registerCommandLine(link);
  return self.ok ? ok({ scope: scope.value, resources: resources.value, self: self.value }) : self;
}

async function reserveFiles(
  cli: Cli,
  link: CoordinatorLink,
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

async function releaseFiles(cli: Cli, link: CoordinatorLink, paths: readonly string[]): Promise<CommandResult> {
  const target = await findTarget(cli, link, paths);
  if (!target.ok) return target;
  const { scope, resources, self } = target.value;
  const leases = await listLeases(scope, self.chat);
  if (!leases.ok) return leases;
  const leasesToRelease = leases.value.filter(({ resource }) => paths.length === 0 || resources.includes(resource));
  if (leasesToRelease.length === 0)
    return notFound("the command line has reserved none of these here; `shim files list` shows who has.");
  for (const lease of leasesToRelease) {
    const released = await releaseLease(scope, self, lease);
    if (!released.ok) return released;
  }
  const released = leasesToRelease.map(({ resource }) => resource.slice(scope.prefix.length));
  return ok({ data: { released }, text: `Released: ${released.join(", ")}.\n` });
}

interface Options extends CommonOptions {
  readonly shared?: boolean;
}

interface HooksRepository {
  readonly hooks: string;
  readonly isShared: boolean;
}

function addFilesGuard(files: Command, cli: Cli): void {
  const command = files
    .command("guard")
    .description("a git hook that refuses commits of files that another chat has reserved");
  const install = command
    .command("install")
    .description("install it in this repository; an existing hook is kept and runs first")
    .option("--shared", "also where core.hooksPath names a folder that other repositories use");
  cli.define(install, async (options: Options) =>
    withRepository(cli, (repository) => installIn(cli, repository, options)),
  );
  const remove = command.command("remove").description("remove it; the hook that was there before is restored");
  cli.define(remove, async () => withRepository(cli, (repository) => removeFrom(cli, repository)));
  const status = command.command("status").description("whether it is installed in this repository");
  cli.define(status, async () => withRepository(cli, (repository) => showStatus(cli, repository)));
}

function withRepository(cli: Cli, body: (repository: HooksRepository) => CommandResult): CommandResult {
  const repository = findRepository(cli);
  return repository.ok ? body(repository.value) : repository;
}

/** Git resolves core.hooksPath, and the one folder of all work trees. */
function findRepository({ io }: Cli): CliResult<HooksRepository> {
  const gitArgs = ["rev-parse", "--path-format=absolute", "--git-path", "hooks", "--git-common-dir", "--show-toplevel"];
  const output = io.runQuietly("git", ["-C", io.cwd, ...gitArgs]);
  if (output === null) return failed("no_git", "git was not found.");
  const [hooks, common, root] = output.text.trim().split("\n");
  if (output.code !== 0 || hooks === undefined || common === undefined || root === undefined) {
    return wrongUsage(`${io.cwd} is not in a git work tree: ${output.text.trim().split("\n").at(-1) ?? ""}`);
  }
  return ok({ hooks, isShared: !isBelow(hooks, common) && !isBelow(hooks, root) });
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !way.startsWith("..") && !isAbsolute(way);
}

function guardCommand({ io }: Cli): GuardCommand {
  const { node, hookScript } = io.launch;
  return { node, script: join(dirname(hookScript), "commit-guard.cjs"), home: io.env["SHIM_HOME"] };
}

function installIn(cli: Cli, { hooks, isShared }: HooksRepository, { shared }: Options): CommandResult {
  const command = guardCommand(cli);
  if (!cli.io.machine.exists(command.script)) {
    return failed("not_built", `${command.script} is missing. In a clone run: npm ci && npm run build`);
  }
  if (isShared && shared !== true) {
    return wrongUsage(
      `core.hooksPath names ${hooks}, whose hooks run in other repositories, too. Add --shared to install it there.`,
    );
  }
  const stateBefore = guardState(hooks, command);
  if (stateBefore.kind === "installed")
    return ok({ data: toData(stateBefore), text: `Already installed: ${stateBefore.path}\n` });
  if (stateBefore.kind !== "stale" && stateBefore.kept !== null) {
    return failed(
      "in_the_way",
      `${stateBefore.kept} is in the way: an earlier hook that was kept. Put it back or move it first.`,
    );
  }
  installGuard(stateBefore, command);
  const stateAfter = guardState(hooks, command);
  const kept = stateAfter.kept === null ? "" : `The earlier hook runs first: ${stateAfter.kept}\n`;
  return ok({ data: toData(stateAfter), text: `Installed: ${stateAfter.path}\n${kept}` });
}

function removeFrom(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  if (!isGuard(state)) {
    const kept = state.kept === null ? "" : ` The earlier hook is kept in ${state.kept}.`;
    return notFound(`${state.path} is not SHIM's commit guard.${kept}`);
  }
  removeGuard(state);
  const back = state.kept === null ? "" : ` The earlier hook is restored: ${state.path}`;
  return ok({ data: toData(guardState(hooks, guardCommand(cli))), text: `Removed.${back}\n` });
}

function showStatus(cli: Cli, { hooks }: HooksRepository): CommandResult {
  const state = guardState(hooks, guardCommand(cli));
  const data = toData(state);
  const kept = state.kept === null ? "" : `, after ${state.kept}`;
  if (state.kind === "installed") return ok({ data, text: `Installed: ${state.path}${kept}\n` });
  if (state.kind === "stale") {
    const text = `${state.path} was installed by another copy of SHIM: \`shim files guard install\` updates it.\n`;
    return ok({ data, text, isFailed: true });
  }
  return ok({ data, text: "Not installed.\n", exit: exitCodes.notFound });
}

function isGuard({ kind }: GuardState): boolean {
  return kind === "installed" || kind === "stale";
}

function toData(state: GuardState) {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}

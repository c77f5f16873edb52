import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import { findUntrusted, trustHooks, type TrustSource } from "../../installer/hook-trust.ts";
import { foundClients, type Installation } from "../../installer/inspect.ts";
import { changeLines, foundLines, otherProgram, renderPlan } from "../../installer/setup-overview.ts";
import {
  applySetup,
  changedClients,
  connectionProblems,
  hasChanges,
  isShimsAlone,
  planSetup,
  type AppliedPlan,
  type SetupOutcome,
  type SetupPlan,
  type SetupRequest,
} from "../../installer/setup.ts";
import { clientNames, type ClientTarget } from "../../installer/targets.ts";
import { titleOf } from "../../clients/adapters.ts";
import { pluralize, quotedTitle } from "../../shared/format.ts";
import { ok, fail } from "../../shared/result.ts";
import { wrongUsage, type Answer, type Failed, textOf, type Lines, wrongWords } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { define } from "../operation-command.ts";
import { shortPath } from "../screen-text.ts";

const InitInput = z.strictObject({
  link: z.boolean().default(true).describe("make no link to `shim` in ~/.local/bin"),
  trust: z.boolean().default(true).describe("do not have Codex trust SHIM's hooks"),
  allow: z.boolean().default(true).describe("let clients ask before SHIM's tools that only read or save"),
  remove: flag("remove SHIM from the clients; stored data stays").meta({ excludes: ["link", "trust", "allow"] }),
  data: flag("with --remove: also delete everything that SHIM has stored on this machine"),
  client: z.enum(clientNames).optional().meta({ word: "name", description: "only this client" }),
  dryRun: flag("show what would change, and change nothing"),
  diff: flag("show every line that would change, and change nothing").meta({ excludes: ["yes"] }),
});
type InitOptions = z.infer<typeof InitInput> & CommonOptions;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "init", {
    input: InitInput,
    summary: "Connect SHIM to the clients of this machine, and make `shim` a command; --remove takes it out.",
    example: { client: "claude-code", diff: true },
    asks: true,
    run: (input, { yes = false, json = false }) => run(cli, { ...input, yes, json }),
  });
}

async function run(cli: Cli, options: InitOptions): Promise<CommandResult> {
  const { remove: isRemoval, link, trust, allow, client, data } = options;
  const request: SetupRequest = {
    action: isRemoval ? "uninstall" : "install",
    client,
    makesLink: link,
    allowsTools: allow,
    deletesData: data,
  };
  const obstacle = request.deletesData ? await dataObstacle(cli, request) : null;
  if (obstacle) return obstacle;
  const installation = { site: cli.io, paths: cli.paths };
  const planned = planSetup(installation, request);
  if (!planned.ok) return planned;
  const setup = planned.value;
  const untrusted = !trust ? null : await findUntrusted(installation, setup.plans);
  const short = (path: string): string => shortPath(path, cli.io.machine.homedir);
  const preview = changeLines(setup, { isRemoval, trust: untrusted, short });
  const plan = { setup, request, untrusted, options, short, preview };
  if (options.diff) return ok(unchangedAnswer(setup, [diffOf(setup), "Nothing was changed."]));
  if (request.action === "install" && cli.io.isInteractive && !options.dryRun) return converse(cli, installation, plan);
  if (!hasChanges(setup) && untrusted === null) return ok(unchanged(installation, setup, request, preview));
  if (options.dryRun) return ok(unchangedAnswer(setup, [...preview, "Dry run: nothing was changed."]));
  if (options.json !== true) cli.io.stdout(cli.wrap(cli.format(textOf(preview))));
  return request.action === "install" ? connect(cli, installation, plan) : remove(cli, installation, plan);
}

interface InitPlan {
  readonly setup: SetupPlan;
  readonly request: SetupRequest;
  /** Hooks that Codex is to trust; null: none. */
  readonly untrusted: TrustSource | null;
  readonly options: InitOptions;
  /** A path as a person reads it. */
  readonly short: (path: string) => string;
  readonly preview: readonly string[];
}

/** In a terminal: says what was found and what will change, and asks once. */
async function converse(cli: Cli, installation: Installation, plan: InitPlan): Promise<CommandResult> {
  const { setup, request, untrusted, options, short, preview } = plan;
  const say = (lines: Lines): void => {
    if (options.json !== true) cli.io.stdout(cli.wrap(cli.format(textOf(lines))));
  };
  const targets = setup.plans.map(({ target }) => target);
  say([...foundLines(foundClients(installation, targets), storeText(cli, short)), ""]);
  if (!hasChanges(setup) && untrusted === null) {
    const answer = unchanged(installation, setup, request, preview);
    return ok({ ...answer, text: [textOf(answer.text), ...(await offerLines(cli))] });
  }
  say([...preview, ""]);
  const isAgreed = options.yes === true || (await cli.agrees("Go ahead?"));
  if (!isAgreed) return ok(unchangedAnswer(setup, ["Nothing was changed."]));
  const done = await connect(cli, installation, { ...plan, options: { ...options, yes: true } });
  if (!done.ok) return done;
  return ok({ ...done.value, text: [textOf(done.value.text), ...(await offerLines(cli))] });
}

function storeText({ paths }: Cli, short: InitPlan["short"]): string {
  return existsSync(paths.database) ? short(paths.database) : `none yet; it will be in ${short(paths.home)}`;
}

/** Further steps that the machine can do now, each with its command. */
async function offerLines(cli: Cli): Promise<Lines> {
  const current = await cli.call("workspace.current", {});
  const isJoined = current.ok && current.value.joined !== null;
  return [isJoined && `Pair a phone: ${cli.command} pair`];
}

async function connect(
  cli: Cli,
  installation: Installation,
  { setup, request, untrusted, options }: InitPlan,
): Promise<CommandResult> {
  if (options.yes !== true) return wrongUsage(howToConfirm(cli, request));
  const outcome = applySetup(installation, setup, request);
  const [problem] = outcome.problems;
  if (problem && outcome.done.length === 0) return fail("write_failed", problem.message);
  return ok(await withTrust(cli, untrusted, outcome));
}

async function remove(
  cli: Cli,
  installation: Installation,
  { setup, request, options }: InitPlan,
): Promise<CommandResult> {
  const what = setup.link === null ? "Change these files" : "Change these files and the link";
  const question = options.data ? `${what}, and delete everything that SHIM has stored?` : `${what}?`;
  const reply = await cli.confirm(question, options.yes === true);
  if (reply === "unasked") return wrongUsage(howToConfirm(cli, request));
  if (reply === "no") return ok(unchangedAnswer(setup, ["Nothing was changed."]));
  // One may have begun while it was asked.
  const obstacle = request.deletesData ? await dataObstacle(cli, request) : null;
  if (obstacle) return obstacle;
  const outcome = applySetup(installation, setup, request);
  cli.isRemoved = true;
  return ok(removalAnswer(cli, outcome, request));
}

/** A client may be set up, and not connected. */
function unchanged(installation: Installation, setup: SetupPlan, { action }: SetupRequest, preview: Lines): Answer {
  if (action === "uninstall") return unchangedAnswer(setup, preview);
  const problems = connectionProblems(installation, setup.plans);
  return unchangedAnswer({ ...setup, problems }, [...preview, ...problemLines("is not connected", problems)]);
}

function howToConfirm({ io }: Cli, { action }: SetupRequest): string {
  const start = io.env["npm_lifecycle_event"] === "init" ? "npm run init --" : "shim init";
  const commandWith = (option: string): string => `${start} ${action === "install" ? "" : "--remove "}${option}`;
  return `this changes files, and there is no terminal to confirm it. To see every line of them: \`${commandWith("--diff")}\`. To make them: \`${commandWith("--yes")}\`.`;
}

const byHand =
  "To trust them by hand: start `codex`, type /hooks, and trust those of SHIM. Until then they do not run.";

/** The user has agreed to it. */
async function withTrust(cli: Cli, source: TrustSource | null, outcome: SetupOutcome): Promise<Answer> {
  const answer = installAnswer(cli, outcome);
  if (source === null || outcome.done.every(({ plan }) => plan.target !== source.target)) return answer;
  const { label } = source.target;
  const problem = await trustHooks(source);
  const areHooksTrusted = problem === null;
  const line = areHooksTrusted
    ? `${label} trusts SHIM's ${source.commands.length} hooks.`
    : `${label} does not trust SHIM's hooks: ${problem}. ${byHand}`;
  return {
    data: Object.assign({}, answer.data, { areHooksTrusted }),
    text: [textOf(answer.text), line],
    isFailed: answer.isFailed === true || !areHooksTrusted,
  };
}

/** Nothing is deleted under a chat or a supervisor that would write it again. */
async function dataObstacle(cli: Cli, { action, client }: SetupRequest): Promise<Failed | null> {
  const { home } = cli.paths;
  if (action === "install") return wrongWords("--data deletes what is stored, and needs --remove.");
  if (client !== undefined) return wrongWords("--data removes SHIM from all clients; leave --client out.");
  if (!existsSync(home)) return null;
  if (!isShimsAlone(home, cli.io.machine.homedir)) {
    const advice = "Delete SHIM's files in it yourself, or name another folder in SHIM_HOME.";
    return fail("not_shims_alone", `${home} holds your own files, too, so it is not deleted. ${advice}`);
  }
  const overview = await cli.call("overview.get", {});
  if (!overview.ok) return overview;
  // Windows does not delete an open file.
  await cli.close();
  const { supervisor, sessions } = overview.value;
  const first = `the supervisor runs (pid ${supervisor?.pid}). First: \`shim worker supervise stop\`.`;
  if (supervisor !== null) return fail("supervisor_runs", first);
  const alive = sessions.filter(({ isAlive }) => isAlive);
  if (alive.length === 0) return null;
  const names = alive.map(({ shortId, title, client, pid }) => {
    const process = pid === null ? "" : `, pid ${pid}`;
    return `\n  ${shortId} ${quotedTitle(title)} (${titleOf(client)}${process})`;
  });
  const [run, them] = alive.length === 1 ? ["runs", "it"] : ["run", "them"];
  const what = `${pluralize(alive.length, "chat")} of SHIM still ${run} and would write again. Close ${them} first:`;
  return fail("chats_run", `${what}${names.join("")}`);
}

function unchangedAnswer({ plans, problems, link }: SetupPlan, text: Lines): Answer {
  const clients = plans.map((plan) => toData({ plan, backup: null }));
  return { data: { isApplied: false, clients, problems, link }, text, isFailed: problems.length > 0 };
}

function installAnswer(cli: Cli, outcome: SetupOutcome): Answer {
  const { done, problems } = outcome;
  const targets = done.map(({ plan }) => plan.target);
  const connected = targets.filter(({ label }) => !problems.some((one) => one.label === label));
  return toAnswer(outcome, [
    problems.length === 0 ? "SHIM is connected." : clientsAfter("SHIM is connected to", connected),
    ...problemLines("is not connected", problems),
    ...restartLines(
      done.filter(({ plan }) => connected.includes(plan.target)),
      openAfterInstall,
    ),
    connected.length > 0 && "Then `shim up` shows the chat; when something is not right, `shim doctor` says what.",
  ]);
}

function removalAnswer(cli: Cli, outcome: SetupOutcome, { client, deletesData }: SetupRequest): Answer {
  const { done, problems } = outcome;
  if (problems.length > 0)
    return toAnswer(outcome, [
      clientsAfter("SHIM is removed from", changedClients(done)),
      ...restartLines(done, openAfterRemoval),
      ...problemLines("still has SHIM", problems),
      "`shim init --remove` removes the rest after that; until then the command and the stored data stay.",
    ]);
  const { home } = cli.paths;
  const isLeft = existsSync(home);
  return toAnswer(outcome, [
    "SHIM is removed.",
    ...restartLines(done, openAfterRemoval),
    client === undefined && !isLeft && deletesData && "Everything that SHIM has stored is deleted.",
    client === undefined &&
      isLeft &&
      `Stored data stays in ${home}; \`shim forget ...\` deletes some of it, \`shim init --remove --data\` all of it.`,
  ]);
}

function toAnswer({ done, problems, link }: SetupOutcome, lines: Lines): Answer {
  const kept = new Set(done.flatMap(({ backup }) => (backup === null ? [] : dirname(backup))));
  const backups = [...kept].map((folder) => `The files as they were: ${folder}`);
  const changed = link?.problem === null ? link.plan : null;
  return {
    data: { isApplied: true, clients: done.map(toData), problems, link: changed },
    text: [...backups, ...linkLines(link), ...lines],
    isFailed: problems.length > 0,
  };
}

function toData({ plan: { target, edits, notes }, backup }: AppliedPlan): unknown {
  const changes = edits.map(({ path, summary }) => ({ path, summary: summary.map(({ says }) => says) }));
  return { client: target.client, label: target.label, edits: changes, notes, backup };
}

function problemLines(state: string, problems: SetupPlan["problems"]): string[] {
  return problems.map(({ label, message }) => `${label} ${state}: ${message}`);
}

function clientsAfter(words: string, clients: readonly { readonly label: string }[]): string | false {
  return clients.length > 0 && `${words} ${clients.map(({ label }) => label).join(", ")}.`;
}

const openAfterInstall = "Open chats continue as before; start a new one in";
const openAfterRemoval = "Chats that are open keep SHIM until they end:";

function restartLines(done: readonly AppliedPlan[], open: string): Lines {
  const { desktop, others } = { desktop: [], others: [], ...Object.groupBy(changedClients(done), kindOf) };
  return [clientsAfter("Quit completely (tray or menu bar), then start again:", desktop), clientsAfter(open, others)];
}

function kindOf({ client }: ClientTarget): "desktop" | "others" {
  return client === "claude-desktop" ? "desktop" : "others";
}

function linkLines(link: SetupOutcome["link"]): string[] {
  if (link === null) return [];
  const { plan, problem } = link;
  const isMade = plan.action === "create";
  if (problem !== null) return [`The link ${plan.path} was not ${isMade ? "made" : "removed"}: ${problem}`];
  if (!isMade) return [`Removed the link ${plan.path}.`];
  return [plan.isOnPath ? "`shim` is a command now." : `Made the link ${plan.path}.`];
}

/** Every line that changes. */
function diffOf({ plans, problems, link, otherShim, own }: SetupPlan): string {
  const parts = [
    ...plans.map(renderPlan),
    ...problems.map(({ label, message }) => `${label}: ${message}\n`),
    link === null ? "" : `${link.action === "create" ? "+++" : "---"} ${link.path} -> ${link.target}\n`,
    ...own.map(({ path, what }) => `${path}: ${what}\n`),
    otherShim === null ? "" : `Note: ${otherProgram(otherShim)}\n`,
  ];
  return parts.filter((part) => part !== "").join("\n");
}

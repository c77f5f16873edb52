import { existsSync } from "node:fs";
import { InvalidArgumentError, Option, type Command } from "commander";
import { applySetup, connectionProblems, type SetupOutcome } from "../../../installer/apply-setup.ts";
import type { Installation } from "../../../installer/client-states.ts";
import { findUntrusted, trustHooks, type TrustSource } from "../../../installer/hook-trust.ts";
import { isShimsAlone } from "../../../installer/leftovers.ts";
import { hasChanges, planSetup, type SetupPlan, type SetupRequest } from "../../../installer/plan-setup.ts";
import { clientNames } from "../../../installer/targets.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { failed, notFound, wrongUsage, type Answer, type FailedResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { installAnswer, problemLines, removalAnswer, unchangedAnswer } from "./outcome.ts";
import { formatPreview } from "./preview.ts";

interface InitOptions extends CommonOptions {
  readonly todoTools?: boolean;
  readonly allow?: boolean;
  readonly telemetry?: boolean | number;
  readonly client?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly link?: boolean;
  readonly remove?: boolean;
  readonly data?: boolean;
  readonly trust?: boolean;
}

export function addCommand(program: Command, cli: Cli): Command {
  const init = program
    .command("init")
    .description("connect SHIM to the clients of this machine, and make `shim` a command; --remove takes it out")
    .option("--no-link", "make no link to `shim` in ~/.local/bin")
    .option("--no-trust", "do not have Codex trust SHIM's hooks")
    .option("--no-allow", "let clients ask before SHIM's tools that only read or save")
    .option("--todo-tools", "switch Claude Code's to-do tools on, which the newest models lack")
    .option("--telemetry [port]", "receive Claude Code's telemetry on this machine", parsePort)
    .option("--no-telemetry", "receive none any more")
    .addOption(
      new Option("--remove", "remove SHIM from the clients; stored data stays").conflicts([
        "link",
        "trust",
        "allow",
        "todoTools",
        "telemetry",
      ]),
    )
    .option("--data", "with --remove: also delete everything that SHIM has stored on this machine")
    .addOption(new Option("--client <name>", "only this client").choices(clientNames))
    .option("--dry-run", "show what would change, and change nothing")
    .option("-y, --yes", "do not ask");
  return cli.define(init, (options: InitOptions) => run(cli, options));
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1_024 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port from 1024 to 65535.");
}

function toRequest(options: InitOptions): SetupRequest {
  return {
    action: options.remove === true ? "uninstall" : "install",
    client: options.client,
    makesLink: options.link !== false,
    allowsTools: options.allow !== false,
    wantsTodoTools: options.todoTools === true,
    telemetry: options.telemetry,
    deletesData: options.data === true,
  };
}

async function run(cli: Cli, options: InitOptions): Promise<CommandResult> {
  const request = toRequest(options);
  const obstacle = request.deletesData ? await dataObstacle(cli, request) : null;
  if (obstacle) return obstacle;
  const installation: Installation = { site: cli.io, paths: cli.paths };
  const planned = planSetup(installation, request);
  if (!planned.ok) return refuse(planned.error);
  const setup = planned.value;
  const untrusted = options.trust === false ? null : await findUntrusted(installation, setup.plans);
  const preview = formatPreview(setup, cli, options.dryRun === true);
  if (!hasChanges(setup) && untrusted === null) return ok(unchanged(installation, setup, request, preview));
  if (options.dryRun) return ok(unchangedAnswer(setup, `${preview}Dry run: nothing was changed.\n`));
  if (options.json !== true) cli.io.stdout(cli.format(`${preview}\n`));
  // Without changes only the trust is asked for, later.
  const isOnlyTrust = !hasChanges(setup) && cli.io.isInteractive;
  const reply = isOnlyTrust ? "yes" : await cli.confirm(question(setup, request), options.yes === true);
  if (reply === "unasked") return wrongUsage(howToConfirm(cli, request));
  if (reply === "no") return ok(unchangedAnswer(setup, "Nothing was changed.\n"));
  return change(cli, installation, setup, { request, untrusted, options });
}

interface Confirmed {
  readonly request: SetupRequest;
  readonly untrusted: TrustSource | null;
  readonly options: InitOptions;
}

async function change(
  cli: Cli,
  installation: Installation,
  setup: SetupPlan,
  { request, untrusted, options }: Confirmed,
): Promise<CommandResult> {
  const outcome = applySetup(installation, setup, request);
  if (request.action === "uninstall") return ok(removalAnswer(cli, outcome, request));
  const [problem] = outcome.problems;
  if (problem && outcome.done.length === 0) return failed("write_failed", problem.message);
  return ok(await withTrust(cli, untrusted, outcome, options));
}

function refuse({ code, message }: { readonly code: string; readonly message: string }): FailedResult {
  return code === "not_found" ? notFound(message) : failed(code, message);
}

/** [IN24] A client may be set up, and not connected. */
function unchanged(installation: Installation, setup: SetupPlan, { action }: SetupRequest, preview: string): Answer {
  if (action === "uninstall") return unchangedAnswer(setup, preview);
  const problems = connectionProblems(installation, setup.plans);
  const lines = problemLines("is not connected", problems).map((line) => `${line}\n`);
  return unchangedAnswer({ ...setup, problems }, [preview, ...lines].join(""));
}

function question({ link }: SetupPlan, { deletesData }: SetupRequest): string {
  const what = link === null ? "Change these files" : "Change these files and the link";
  return deletesData ? `${what}, and delete everything that SHIM has stored?` : `${what}?`;
}

function howToConfirm({ io }: Cli, { action }: SetupRequest): string {
  const start = io.env["npm_lifecycle_event"] === "init" ? "npm run init --" : "shim init";
  const commandWith = (option: string): string => `${start} ${action === "install" ? "" : "--remove "}${option}`;
  return `this changes files, and there is no terminal to confirm it. To see the changes: \`${commandWith("--dry-run")}\`. To make them: \`${commandWith("--yes")}\`.`;
}

const byHand =
  "To trust them by hand: start `codex`, type /hooks, and trust those of SHIM. Until then they do not run.";

/** [IN33] Asks the user first. */
async function withTrust(
  cli: Cli,
  source: TrustSource | null,
  outcome: SetupOutcome,
  { yes = false }: InitOptions,
): Promise<Answer> {
  const answer = installAnswer(cli, outcome);
  if (source === null || outcome.done.every(({ plan }) => plan.target !== source.target)) return answer;
  const { label } = source.target;
  const hooks = `SHIM's ${source.commands.length} hooks`;
  const asked = `${label} runs hooks only when you trust them. Trust ${hooks}?`;
  const isWanted = (await cli.confirm(asked, yes)) === "yes";
  const problem = isWanted ? await trustHooks(source) : null;
  const areHooksTrusted = isWanted && problem === null;
  const reason = problem === null ? "" : `${label} does not trust SHIM's hooks: ${problem}. `;
  const text = areHooksTrusted ? `${label} trusts ${hooks}.` : `${reason}${byHand}`;
  return {
    data: Object.assign({}, answer.data, { areHooksTrusted }),
    text: `${answer.text}${text}\n`,
    isFailed: answer.isFailed === true || (yes && !areHooksTrusted),
  };
}

/** [IP12] Nothing is deleted under a chat or a supervisor that would write it again. */
async function dataObstacle(cli: Cli, { action, client }: SetupRequest): Promise<FailedResult | null> {
  const { home } = cli.paths;
  if (action === "install") return wrongUsage("--data deletes what is stored, and needs --remove.");
  if (client !== undefined) return wrongUsage("--data removes SHIM from all clients; leave --client out.");
  if (!existsSync(home)) return null;
  if (!isShimsAlone(home, cli.io.machine.homedir)) {
    const advice = "Delete SHIM's files in it yourself, or name another folder in SHIM_HOME.";
    return failed("not_shims_alone", `${home} holds your own files, too, so it is not deleted. ${advice}`);
  }
  const overview = await cli.call("overview.get", {});
  if (!overview.ok) return overview;
  // Windows does not delete an open file.
  await cli.close();
  const { supervisor, sessions } = overview.value;
  if (supervisor !== null)
    return failed(
      "supervisor_runs",
      `the supervisor runs (pid ${supervisor.pid}). First: \`shim worker supervise stop\`.`,
    );
  const alive = sessions.filter(({ isAlive }) => isAlive).length;
  if (alive === 0) return null;
  return failed("chats_run", `${pluralize(alive, "chat")} of SHIM still runs and would write again. Close it first.`);
}

import type { Command } from "commander";
import { Id } from "../../../contract/values.ts";
import { err, ok } from "../../../shared/result.ts";
import { age } from "../../../local-mcp/recovery/brief.ts";
import { exitCodes, wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import {
  acquireLease,
  interruptedBefore,
  termRequest,
  type CommandLease,
  runUnder,
  type CommandWords,
} from "./command-lease.ts";
import { durationUpTo } from "./lease-run.ts";

interface Options extends CommonOptions {
  readonly wait?: number;
  readonly ttl?: number;
  readonly once?: boolean;
  readonly status?: boolean;
}

interface Campaign {
  readonly name: string;
  readonly ttlMs: number;
  /** Undefined: until it leads. */
  readonly waitMs: number | undefined;
  readonly isOnce: boolean;
  readonly words: CommandWords;
}

const defaultTtlMs = 30_000;
const maxWaitMs = 3_600_000;
const retryMs = 5_000;

export function addLead(program: Command, cli: Cli): void {
  const command = program
    .command("lead <name> [command...]")
    .description("run a command while this process leads an election: `shim lead deploy -- ./deployer`")
    .option("--status", "only show who leads")
    .option("--once", "exit when leadership is lost (default: campaign again)")
    .option("--wait <duration>", "exit when it does not lead by then (default: no limit)", durationUpTo(0))
    .option(
      "--ttl <duration>",
      "how long a term outlives this process when that is killed (default: 30s)",
      durationUpTo(1, 10),
    );
  cli.define(command, (options: Options, name: string, ...rest: unknown[]) => {
    const [first = "", ...args] = rest.flat() as string[];
    const usageProblem = findUsageProblem(options, name, first);
    if (usageProblem !== null) return Promise.resolve(wrongUsage(usageProblem));
    if (options.status === true) return withLink(cli, (link) => showLeader(link, name));
    const { ttl: ttlMs = defaultTtlMs, wait: waitMs, once } = options;
    const campaign = { name, ttlMs, waitMs, isOnce: once === true, words: [first, ...args] as const };
    return withLink(cli, (link) => runLead({ cli, link, campaign, stop: cli.io.interrupted() }));
  });
}

function findUsageProblem({ status }: Options, name: string, command: string): string | null {
  if (!Id.safeParse(name).success) return `"${name}" is no name of an election: letters, digits and . : @ _ -`;
  if (status === true) return command === "" ? null : "--status takes no command.";
  return command === "" ? `give the command behind --: \`shim lead ${name} -- ./deployer\`, or --status.` : null;
}

/** [CL102] */
async function showLeader(link: CoordinatorLink, name: string): Promise<CommandResult> {
  const found = await link.call("elections.observe", { name });
  if (!found.ok) return found;
  const { leader } = found.value;
  if (leader === null) return ok({ data: { leader }, text: `Nobody leads ${name}.\n`, exit: exitCodes.notFound });
  const chat = await link.call("chats.get", { chat: leader.leader });
  const where = chat.ok ? ` on ${chat.value.machine} (${chat.value.client})` : "";
  const text = `${leader.leader}${where} leads ${name}, term ${leader.term}, ${age(leader.remainingMs)} left unless renewed.\n`;
  return ok({ data: { leader, machine: chat.ok ? chat.value.machine : null }, text });
}

interface LeadContext {
  readonly cli: Cli;
  readonly link: CoordinatorLink;
  readonly campaign: Campaign;
  readonly stop: AbortSignal;
}

async function runLead(context: LeadContext): Promise<CommandResult> {
  for (let isFirst = true; ; isFirst = false) {
    const won = await win(context, isFirst);
    if (!won.ok) return won;
    const ended = await lead(context, won.value);
    if (ended !== null) return ended;
  }
}

/** [CL101] After a first term the request is known to be valid, so an outage is retried. */
const transientCodes: ReadonlySet<string> = new Set(["edge_unreachable", "overloaded", "rate_limited"]);

async function win({ cli, link, campaign, stop }: LeadContext, isFirst: boolean): ReturnType<typeof acquireLease> {
  const { name, ttlMs, waitMs } = campaign;
  for (;;) {
    const request = termRequest(name, { ttlMs, waitMs: waitMs ?? maxWaitMs });
    const acquired = await acquireLease(link, request, stop, "lead");
    if (acquired.ok) return acquired;
    if (stop.aborted) return interruptedBefore("this process led");
    const isHeld = acquired.error.code === "lease_held";
    const isAgain = isHeld ? waitMs === undefined : transientCodes.has(acquired.error.code) && !isFirst;
    if (!isAgain) return acquired;
    if (!isHeld) await cli.io.wait(retryMs, stop);
  }
}

/** @returns null: leadership was lost, and it campaigns again */
async function lead({ cli, campaign, stop }: LeadContext, held: CommandLease): Promise<CommandResult | null> {
  const { name, words, isOnce } = campaign;
  const { token: term } = held;
  cli.progress(`Leads ${name}, term ${term}.`);
  try {
    const ran = await runUnder(cli, held, words, { SHIM_ELECTION: name, SHIM_TERM: String(term) }, stop);
    if (!ran.ok) return ran;
    if (ran.value.end === "exit") {
      const { exit } = ran.value;
      return ok({ data: { name, term, exitCode: exit }, text: "", isOneLine: true, exit });
    }
    const lost = `leadership of ${name} was lost, and the command was ended: ${ran.value.reason}`;
    if (isOnce) return err({ exit: exitCodes.leaseLost, code: "leadership_lost", message: `${lost}.` });
    cli.progress(`The ${lost}. It campaigns again.`);
    return null;
  } finally {
    await held.release();
  }
}

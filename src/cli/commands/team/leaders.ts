import type { Command } from "commander";
import { Id } from "../../../contract/values.ts";
import { err, ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import { exitCodes, notFound, wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { acquireLease, interruptedBefore, termRequest, type CommandLease } from "./leases/command-lease.ts";
import { runUnder, type CommandWords } from "./leases/run-under-lease.ts";
import { durationUpTo } from "./lock-run.ts";

interface Options extends CommonOptions {
  readonly wait?: number;
  readonly ttl?: number;
  readonly once?: boolean;
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

const leaderPrefix = "leader:";

export function addLeaders(team: Command, cli: Cli): void {
  const leaders = defineWork(cli, team, "leaders", {
    operation: "leases.list",
    hidden: ["holder"],
    fixed: { prefix: leaderPrefix },
    summary: "Who leads which election.",
    isLabelled: true,
    view: tableView({
      rows: ({ leases }) => leases,
      columns: (_output, _cli, { label }) => ({
        ELECTION: ({ resource }) => resource.slice(leaderPrefix.length),
        LEADER: ({ holder }) => label(holder),
        TERM: ({ token }) => String(token),
        UNTIL: ({ remainingMs }) => `${age(remainingMs)} left unless renewed`,
      }),
      empty: "No election has a leader.",
    }),
  });
  defineWork(cli, leaders, "show", {
    operation: "elections.observe",
    args: ["name"],
    summary: "Who leads one election; exit code 3: nobody.",
    refuse: ({ leader }, { name }) => (leader ? null : notFound(`${name} has no leader.`)),
    view: async ({ leader }, _cli, { link, input: { name } }) => {
      if (!leader) return "";
      const chat = await link.call("chats.get", { chat: leader.leader });
      const where = chat.ok ? ` on ${chat.value.machine} (${chat.value.client})` : "";
      return `${leader.leader}${where} leads ${name}, term ${leader.term}, ${age(leader.remainingMs)} left unless renewed.\n`;
    },
  });
  addLeaderRun(leaders, cli);
}

function addLeaderRun(leaders: Command, cli: Cli): void {
  const command = leaders
    .command("run <name> <command...>")
    .description("run a command while this process leads an election: `shim team leaders run deploy -- ./deployer`")
    .option("--once", "exit when leadership is lost (default: campaign again)")
    .option("--wait <duration>", "exit when it does not lead by then (default: no limit)", durationUpTo(0))
    .option(
      "--ttl <duration>",
      "how long a term outlives this process when that is killed (default: 30s)",
      durationUpTo(1, 10),
    );
  cli.define(command, (options: Options, name: string, ...rest: unknown[]) => {
    const [first = "", ...args] = rest.flat() as string[];
    if (!Id.safeParse(name).success)
      return Promise.resolve(wrongUsage(`"${name}" is not an election name: letters, digits and . : @ _ -`));
    if (first === "")
      return Promise.resolve(wrongUsage(`give the command after --: \`shim team leaders run ${name} -- ./deployer\`.`));
    const { ttl: ttlMs = defaultTtlMs, wait: waitMs, once } = options;
    const campaign = { name, ttlMs, waitMs, isOnce: once === true, words: [first, ...args] as const };
    return cli.withWorkspace((link) => new LeadRun(cli, link, campaign).run());
  });
}

class LeadRun {
  readonly #cli: Cli;
  readonly #link: Workspace;
  readonly #campaign: Campaign;
  readonly #stop: AbortSignal;

  constructor(cli: Cli, link: Workspace, campaign: Campaign) {
    this.#cli = cli;
    this.#link = link;
    this.#campaign = campaign;
    this.#stop = cli.io.interrupted();
  }

  async run(): Promise<CommandResult> {
    for (let isFirst = true; ; isFirst = false) {
      const won = await this.#win(isFirst);
      if (!won.ok) return won;
      const ended = await this.#lead(won.value);
      if (ended !== null) return ended;
    }
  }

  async #win(isFirst: boolean): ReturnType<typeof acquireLease> {
    const { name, ttlMs, waitMs } = this.#campaign;
    for (;;) {
      const request = termRequest(name, { ttlMs, waitMs: waitMs ?? maxWaitMs });
      const leaseResult = await acquireLease(this.#link, request, this.#stop, "lead");
      if (leaseResult.ok) return leaseResult;
      if (this.#stop.aborted) return interruptedBefore("this process led");
      // [CL101] After a first term the request is known to be valid, so an outage is retried.
      const isAgain =
        leaseResult.error.code === "lease_held"
          ? waitMs === undefined
          : leaseResult.error.isTransient === true && !isFirst;
      if (!isAgain) return leaseResult;
      if (leaseResult.error.code !== "lease_held") await this.#cli.io.wait(retryMs, this.#stop);
    }
  }

  /** @returns null: leadership was lost, and it campaigns again */
  async #lead(held: CommandLease): Promise<CommandResult | null> {
    const { name, words, isOnce } = this.#campaign;
    const { token: term } = held;
    this.#cli.progress(`Leads ${name}, term ${term}.`);
    try {
      const env = { SHIM_ELECTION: name, SHIM_TERM: String(term) };
      const ran = await runUnder(this.#cli, held, words, env, this.#stop);
      if (!ran.ok) return ran;
      if (ran.value.end === "exit") {
        const { exit } = ran.value;
        return ok({ data: { name, term, exitCode: exit }, text: "", isOneLine: true, exit });
      }
      const lost = `leadership of ${name} was lost, and the command was ended: ${ran.value.reason}`;
      if (isOnce) return err({ exit: exitCodes.leaseLost, code: "leadership_lost", message: `${lost}.` });
      this.#cli.progress(`The ${lost}. Campaigning again.`);
      return null;
    } finally {
      await held.release();
    }
  }
}

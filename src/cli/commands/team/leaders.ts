import type { Command } from "commander";
import { age } from "../../../shared/format.ts";
import { notFound } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { addLeaderRun } from "./run-holding.ts";

const leaderPrefix = "leader:";

export function addCommand(team: Command, cli: Cli): void {
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

import type { Command } from "commander";
import { localTime } from "../../contract/age.ts";
import type { Phone } from "../../contract/machine/phones.ts";
import { tableView } from "../view.ts";
import { addGroup, type Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { phoneOperations } from "../../contract/machine/phones.ts";

export function addCommand(program: Command, cli: Cli): void {
  const phones = addGroup(program, "phones", "the phones that are paired with this machine");
  define(cli, phones, "list", {
    operation: "phones.list",
    of: phoneOperations,
    view: tableView({
      rows: ({ phones: all }: { readonly phones: readonly Phone[] }) => all,
      columns: {
        NAME: "name",
        ID: ({ id }) => id.slice(0, 8),
        MAY: "scope",
        "LAST USE": ({ seenAt }) => (seenAt === null ? null : cli.ago(seenAt)),
        "PAIRED UNTIL": ({ endsAt, isPaired }) => endOf(localTime(endsAt), isPaired),
        NOTIFIES: ({ notifies, notified }) =>
          [notifies.join(", "), lastOf(cli, notified)].filter((part) => part).join("; ") || null,
      },
      empty: "No phone is paired with this machine. `shim pair` pairs one.",
    }),
  });
  define(cli, phones, "remove", {
    operation: "phones.remove",
    of: phoneOperations,
    args: ["phone"],
    view: ({ name, isEndedThere }) => [
      `${name} is no longer paired: this machine has deleted its key.`,
      !isEndedThere && "The coordinator did not confirm it. What the phone sends there opens nothing any more.",
    ],
  });
}

/** When the last notification was sent, and why it was not taken. */
function lastOf(cli: Cli, notified: Phone["notified"]): string {
  if (notified === null) return "";
  return `last ${cli.ago(notified.at)}${notified.problem === null ? "" : `: ${notified.problem}`}`;
}

function endOf(time: string, isPaired: Phone["isPaired"]): string {
  if (isPaired === null) return `${time} (not confirmed by the coordinator)`;
  return isPaired ? time : "ended at the coordinator: remove the phone and pair it again";
}

import type { Command } from "commander";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { OpenRequest } from "../../contract/machine/requests.ts";
import { oneLine } from "../../shared/format.ts";
import { tableView } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { defineOperation } from "../operation-command.ts";

const isOff = "Answers from here are off: `shim config set answers.isEnabled true` allows them.";

export function addCommand(program: Command, cli: Cli): void {
  const room = Math.max(24, cli.io.size().columns - 60);
  const table = tableView<MachineOutput<"requests.list">, OpenRequest>({
    rows: (output) => output.requests,
    columns: {
      REQUEST: "id",
      SESSION: "shortId",
      TOOL: "tool",
      "ENDS IN": "endsInMs",
      TEXT: ({ text, reason }) => oneLine(reason === null ? text : `${text} (${reason})`, room),
    },
    empty: "No chat asks for a permission.",
  });
  const requests = defineOperation(cli, program, "requests", {
    operation: "requests.list",
    isVerbatim: true,
    view: (output, shown, input) => (output.isOn ? table(output, shown, input) : [cli.format(isOff)]),
  });
  defineOperation(cli, requests, "answer", {
    operation: "requests.answer",
    args: ["request", "decision"],
    view: ({ request, tool, decision }) => [`${decision === "allow" ? "Allowed" : "Denied"}: ${tool} (${request}).`],
  });
  defineOperation(cli, requests, "message", {
    operation: "requests.message",
    args: ["session"],
    rest: "text",
    view: ({ comes }) => [
      comes === "stop"
        ? "The chat reads it when its turn ends."
        : "The chat reads it with the next prompt that its terminal sends.",
    ],
  });
}

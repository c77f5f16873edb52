import type { Command } from "commander";
import type { GivenAnswer, OpenRequest } from "../../contract/machine/requests.ts";
import { age, quotedTitle } from "../../shared/format.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";

const isOff = "Answers from here are off: `shim config set answers.isEnabled true` allows them.";

export function addCommand(program: Command, cli: Cli): void {
  const requests = define(cli, program, "requests", {
    operation: "requests.list",
    isVerbatim: true,
    view: ({ isOn, requests: open, answers = [] }) => {
      if (!isOn) return [cli.format(isOff)];
      if (open.length + answers.length === 0) return ["No chat asks for a permission."];
      return [...open.flatMap((one) => linesOf(cli, one)), ...answers.map(lineOf)];
    },
  });
  define(cli, requests, "show", {
    operation: "requests.show",
    args: ["request"],
    isVerbatim: true,
    view: ({ request, text, shown }) => [
      text,
      "",
      cli.format(`That is all of it. To allow it: \`shim requests answer ${request} allow --shown ${shown}\``),
    ],
  });
  define(cli, requests, "answer", {
    operation: "requests.answer",
    args: ["request", "decision"],
    view: ({ request, tool, decision }) => [
      `${decision === "allow" ? "Allow" : "Deny"} was sent: ${tool} (${request}). Its terminal may have been first: \`shim requests\` shows what came of it.`,
    ],
  });
  define(cli, requests, "message", {
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

/** A request, and below it all that it would do, or both ends. */
function linesOf(cli: Cli, { id, shortId, title, tool, text, folded, reason, endsInMs }: OpenRequest): string[] {
  const how = reason === null ? `for ${age(endsInMs)}` : `only in its terminal: ${reason}`;
  return [
    `${id}  ${tool} of ${quotedTitle(title)} (${shortId}), ${how}`,
    ...text.split("\n").map((line) => `    ${line}`),
    ...(folded === null ? [] : [cli.format(`    All of it: \`shim requests show ${id}\``)]),
  ];
}

function lineOf({ request, shortId, tool, text, by, ageMs }: GivenAnswer): string {
  return `${request}  ${tool} of ${shortId}: ${text} (${by}, ${age(ageMs)} ago).`;
}

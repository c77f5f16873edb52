import type { Command } from "commander";
import * as z from "zod";
import type { Decision, GivenAnswer, OpenRequest } from "../../contract/machine/requests.ts";
import { age, quotedTitle } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import { requestOperations } from "../../contract/machine/requests.ts";

const isOff = "Answers from here are off: `shim config set answers.isEnabled true` allows them.";

const AnswerFields = requestOperations["requests.answer"].input.extend({
  answers: z
    .array(z.string())
    .optional()
    .describe("for a question: the number of a choice (1, or 1,3 for several) or words, one for each question"),
});
type AnswerInput = z.input<(typeof requestOperations)["requests.answer"]["input"]>;

const numbers = /^\d{1,4}(?:,\d{1,4})*$/;

function toAnswers(given: unknown): Pick<AnswerInput, "answers"> {
  const texts = Array.isArray(given) ? given.map(String) : [];
  const answers = texts.map((text) =>
    numbers.test(text) ? { choices: text.split(",").map(Number) } : { words: text },
  );
  return answers.length > 0 ? { answers } : {};
}

const sentTexts: Readonly<Record<Decision, string>> = {
  allow: "Allow",
  session: "Allow for this session",
  answer: "The answer",
  deny: "Deny",
};

export function addCommand(program: Command, cli: Cli): void {
  const requests = define(cli, program, "requests", {
    operation: "requests.list",
    of: requestOperations,
    isVerbatim: true,
    view: ({ isOn, requests: open, answers = [] }) => {
      if (!isOn) return [cli.format(isOff)];
      if (open.length + answers.length === 0) return ["No chat asks for anything."];
      return [...open.flatMap((one) => linesOf(cli, one)), ...answers.map(lineOf)];
    },
  });
  define(cli, requests, "show", {
    operation: "requests.show",
    of: requestOperations,
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
    of: requestOperations,
    fields: AnswerFields,
    args: ["request", "decision"],
    rest: "answers",
    read: ({ answers, ...given }) => Promise.resolve(ok({ ...given, ...toAnswers(answers) } as AnswerInput)),
    view: ({ request, tool, decision }) => [
      `${sentTexts[decision]} was sent: ${tool} (${request}). Its terminal may have been first: \`shim requests\` shows what came of it.`,
    ],
  });
  define(cli, requests, "message", {
    operation: "requests.message",
    of: requestOperations,
    args: ["session"],
    rest: "text",
    view: ({ comes }) => [cameTexts[comes]],
  });
}

const cameTexts = {
  now: "Its client has it, as the chat's prompt.",
  stop: "The chat reads it when its turn ends.",
  prompt: "The chat reads it with the next prompt that its terminal sends.",
} as const;

/** A request, and below it all that it would do, or both ends. */
function linesOf(cli: Cli, request: OpenRequest): string[] {
  const { id, shortId, title, tool, text, folded, decisions, grant, wider, reason, endsInMs } = request;
  const how = reason === null ? `${decisions.join(", ")} for ${age(endsInMs)}` : `only in its terminal: ${reason}`;
  return [
    `${id}  ${tool} of ${quotedTitle(title)} (${shortId}), ${how}`,
    ...text.split("\n").map((line) => `    ${line}`),
    ...(grant === null ? [] : [`    session: allows ${grant} until the session ends`]),
    ...(wider === null ? [] : [`    ${wider}`]),
    ...(folded === null ? [] : [cli.format(`    All of it: \`shim requests show ${id}\``)]),
  ];
}

function lineOf({ request, shortId, tool, text, by, ageMs }: GivenAnswer): string {
  return `${request}  ${tool} of ${shortId}: ${text} (${by}, ${age(ageMs)} ago).`;
}

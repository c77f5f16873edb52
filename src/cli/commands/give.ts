import type { Command } from "commander";
import { localTime } from "../../contract/age.ts";
import type { Given } from "../../contract/machine/handover.ts";
import { pluralize, quotedTitle, heldNames } from "../../shared/format.ts";
import type { Cli } from "../cli.ts";
import { define } from "../operation-command.ts";
import type { Lines } from "../answer.ts";
import { handoverOperations } from "../../contract/machine/handover.ts";

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "give", {
    operation: "handover.give",
    of: handoverOperations,
    args: ["session"],
    fixed: { folder: cli.io.cwd },
    view: (given) => givenLines(given),
    isVerbatim: true,
  });
}

function givenLines({ session, title, sealed, link, until, files, hasConversation, held }: Given): Lines {
  const what = hasConversation ? "its state and its conversation" : "its state, without the conversation (--native)";
  const { missing, leftOut } = files;
  const where = sealed === null ? "at the coordinator, which cannot read it" : `in ${sealed.file}, sealed`;
  return [
    `${quotedTitle(title)} (${session}) is ${where}: ${what}.`,
    files.isUnpushed &&
      "Its last commit is on no remote: push it, or it is taken as a copy (`shim take --into <folder>`).",
    missing === null ? "Its uncommitted files are in it." : `Its uncommitted files are not in it: ${missing}.`,
    leftOut.length > 0 &&
      `${pluralize(leftOut.length, "file")} left out of it: ${leftOut.map(({ path }) => path).join(", ")}.`,
    held !== null &&
      (sealed === null
        ? `When it is taken, this chat gives back ${heldNames(held)}.`
        : `This chat keeps ${heldNames(held)}.`),
    "",
    ...(sealed === null
      ? ["In a clone of the project, once, on the other machine:", `  shim take '${link ?? ""}'`]
      : [
          "Send the file one way and this code another way; the two together open the session:",
          `  ${sealed.code}`,
          "",
          `On the other machine, in a clone of the project: shim take ${sealed.file.split(/[/\\]/).at(-1)}`,
        ]),
    `It can be taken until ${localTime(until)}. What this chat does from now on is not in it.`,
  ];
}

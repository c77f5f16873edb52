import type { LostPart, Native } from "../contract/machine/native.ts";
import { pluralize, unreadParts } from "../shared/format.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { err, ok } from "../shared/result.ts";
import { failed } from "./answer.ts";
import type { Cli, CommandResult } from "./cli.ts";
import { mayStart, startChat, withRecorded, type ContinueOptions } from "./continue-session.ts";

/** Writes the session's conversation as a session of a client, and starts the client with it. */
export async function continueNatively(cli: Cli, session: string, options: ContinueOptions): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const client = omitUndefined({ client: options.in });
  const planned = await withRecorded(cli, session, (known) =>
    cli.call("recovery.plan", { session: known, folder, isNew: true, ...client }),
  );
  if (!planned.ok) return planned;
  const { session: id, shortId, refusal } = planned.value;
  if (refusal !== null) return failed(refusal.code, refusal.message);
  const written = await cli.call("recovery.make-native", { session: id, folder, ...client });
  if (!written.ok) {
    const brief = ["shim resume", shortId, ...(options.in === undefined ? [] : ["--in", options.in])].join(" ");
    const { message } = written.error;
    return err({
      ...written.error,
      message: `${message} \`${brief}\`, without --native, continues it with the brief.`,
    });
  }
  const { made, start } = written.value;
  const text = nativeText(written.value);
  if (mayStart(cli, options)) {
    cli.progress(text.trimEnd());
    return startChat(cli, id, start, { hint: `The new session is ${made}.` });
  }
  // The offer ends by itself where no chat begins with the new session.
  await cli.call("recovery.take", { session: id, chat: made });
  const line = [start.command, ...start.args].join(" ");
  return ok({ data: written.value, text: `${text}To continue it, in ${start.cwd}: ${line}\n`, isVerbatim: true });
}

const lostNames: Readonly<Record<LostPart, readonly [one: string, many: string]>> = {
  image: ["image", "images"],
  thought: ["thought", "thoughts"],
  summary: ["summary that cannot be read", "summaries that cannot be read"],
  subagent_row: ["row of a sub-agent", "rows of sub-agents"],
  local_command: ["command that the client carried out itself", "commands that the client carried out itself"],
  api_error: ["error of the API", "errors of the API"],
  interruption: ["interruption", "interruptions"],
  cut_result: ["part of a result that the client had cut", "parts of results that the client had cut"],
  missing_result: ["result that was never recorded", "results that were never recorded"],
};

/** Says what the new session has, and what it lacks: nothing is dropped in silence. */
export function nativeText({
  made,
  session,
  file,
  carried,
  lost,
  damages,
  redacted,
  foreignTools,
  start,
}: Native): string {
  const { prompts, answers, calls, summaries } = carried;
  const summary = summaries === 0 ? [] : [`${summaries} ${summaries === 1 ? "summary" : "summaries"}`];
  const has = [
    pluralize(prompts, "prompt"),
    pluralize(answers, "answer"),
    `${pluralize(calls, "call")} with results`,
    ...summary,
  ];
  const parts = lost.map(({ part, count }) => `${count} ${lostNames[part][count === 1 ? 0 : 1]}`);
  const tools = foreignTools.map(({ name, count }) => `${name} (${count})`);
  const lines = [
    `${made}${file === null ? "" : ` (${file})`} is a session of ${start.client} with the conversation of ${session}, which stays as it is: ${has.join(", ")}.`,
    ...(parts.length === 0 ? [] : [`Not carried over: ${parts.join(", ")}.`]),
    ...(damages === 0 ? [] : [`${unreadParts(damages, "of its transcript")}.`]),
    ...(tools.length === 0
      ? []
      : [`${start.client} has no such tools, so their calls keep the names: ${tools.join(", ")}.`]),
    ...(redacted === 0 ? [] : [`${redacted} secret or private ${redacted === 1 ? "text is" : "texts are"} left out.`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

import { Option, type Command } from "commander";
import type { Diagnosis, RescueOffer } from "../../contract/machine/rescue.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { pluralize } from "../../shared/format.ts";
import { wrongUsage } from "../answer.ts";
import type { Cli, CommandResult, CommonOptions } from "../cli.ts";
import { continueSession, mayStart, nameOf, startable, startChat } from "../continue-session.ts";

interface RescueOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly in?: string;
  /** The client has just ended within seconds of its start. */
  readonly hasFailed?: true;
}

export function addCommand(program: Command, cli: Cli): void {
  const command = program
    .command("rescue [session]")
    .description("find why a session cannot be continued, and continue it all the same")
    .option("-y, --yes", "do the first of what works, without asking")
    .addOption(
      new Option("--in <client>", "continue it in a new chat of this client, with the brief").choices(startable),
    );
  cli.define(command, (options: RescueOptions, id?: string) => rescue(cli, options, id));
}

/** [RS7] Changes nothing before a yes. */
async function rescue(cli: Cli, options: RescueOptions, id: string | undefined): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const asked = await cli.call("recovery.diagnose", { folder, ...(id === undefined ? {} : { session: id }) });
  if (!asked.ok) return asked;
  const { checked, diagnosis } = asked.value;
  if (diagnosis === null) {
    const sessions = checked === 1 ? "session" : pluralize(checked, "session");
    const text =
      checked === 0 ? "This project has no session.\n" : `Nothing is wrong with the newest ${sessions} here.\n`;
    return ok({ data: { diagnosis }, text });
  }
  if (options.in !== undefined)
    return continueSession(cli, diagnosis.session, { ...options, in: options.in, isNew: true });
  if (diagnosis.reason === null) return ok({ data: diagnosis, text: healthyText(diagnosis) });
  const done = await offerRescue(cli, diagnosis, options);
  return done ?? ok({ data: diagnosis, text: "Nothing was changed.\n" });
}

function healthyText({ shortId, isAlive, ...named }: Diagnosis): string {
  if (isAlive) return `Nothing is wrong with ${nameOf(named)}: it runs.\n`;
  return `Nothing is wrong with ${nameOf(named)}: \`shim resume ${shortId}\` continues it.\n`;
}

/** [RS8] After the client has ended at once. @returns null: nothing was done */
export async function rescueAfterFailure(cli: Cli, session: string): Promise<CommandResult | null> {
  const asked = await cli.call("recovery.diagnose", { session, folder: cli.io.cwd, hasFailed: true });
  const diagnosis = asked.ok ? asked.value.diagnosis : null;
  return diagnosis?.reason ? offerRescue(cli, diagnosis, { hasFailed: true }) : null;
}

/** @returns null: the user wants none of the ways */
async function offerRescue(cli: Cli, diagnosis: Diagnosis, options: RescueOptions): Promise<CommandResult | null> {
  const { offers, isAlive } = diagnosis;
  const lines = offers.map(({ text }, at) => `  ${at + 1}  ${text}\n`);
  const running = isAlive ? "It still runs: end that chat first.\n" : "";
  const text = `${nameOf(diagnosis)} is ${reasonText(diagnosis)}.\n${running}What works, cheapest first:\n${lines.join("")}`;
  const [first] = offers;
  if (first === undefined || isAlive) return ok({ data: diagnosis, text });
  if (options.yes === true) {
    if (options.json !== true) cli.io.stderr(cli.format(text));
    return doOffer(cli, diagnosis, first, options);
  }
  if (!mayStart(cli, options)) {
    const how = `\`shim rescue ${diagnosis.shortId} --yes\` does the first; --in <client> gives the brief to another client.\n`;
    return ok({ data: diagnosis, text: `${text}${how}` });
  }
  cli.io.stderr(cli.format(text));
  const choices = offers.length === 1 ? "1" : `1-${offers.length}`;
  const reply = (await cli.io.ask(`Which one? [${choices}, nothing: none] `)).trim();
  if (reply === "") return null;
  const chosen = /^\d+$/.test(reply) ? offers[Number(reply) - 1] : undefined;
  return chosen
    ? doOffer(cli, diagnosis, chosen, options)
    : wrongUsage(`"${reply}" is none of them. Nothing was changed.`);
}

function reasonText({ reason, why }: Diagnosis): string {
  const words = reason === "unknown" ? "not continued by its client" : (reason ?? "").replaceAll("_", " ");
  return `${words}: ${why}`;
}

async function doOffer(
  cli: Cli,
  diagnosis: Diagnosis,
  { kind }: RescueOffer,
  options: RescueOptions,
): Promise<CommandResult> {
  const { session } = diagnosis;
  if (kind === "brief") return continueSession(cli, session, { ...options, isNew: true });
  const { hasFailed } = options;
  const input = { session, folder: cli.io.cwd, offer: kind, ...omitUndefined({ hasFailed }) };
  const done = await cli.call("recovery.rescue", input);
  if (!done.ok) return done;
  const { copy, backup } = done.value;
  const data = { ...diagnosis, done: done.value };
  if (copy === null) {
    const text = backup === null ? "It is no longer archived.\n" : `That is out of the way; it is ${backup} now.\n`;
    if (!mayStart(cli, options))
      return ok({ data, text: `${text}\`shim resume ${session}\` continues the session.\n` });
    cli.progress(text.trimEnd());
    return continueSession(cli, session, {});
  }
  const where = copy.file === null ? "" : ` (${copy.file})`;
  const made = `${copy.session}${where} is a copy of ${session}, which stays as it is.`;
  if (mayStart(cli, options)) {
    cli.progress(made);
    return startChat(cli, session, copy.start, { hint: `The copy is ${copy.session}.` });
  }
  // The offer ends by itself where no chat begins with the copy.
  await cli.call("recovery.take", { session, chat: copy.session });
  const { command, args, cwd } = copy.start;
  const line = [command, ...args].join(" ");
  return ok({ data, text: `${made}\nTo continue it${cwd === null ? "" : `, in ${cwd}`}: ${line}\n`, isVerbatim: true });
}

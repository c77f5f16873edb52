import { Option, type Command } from "commander";
import * as z from "zod";
import type { Diagnosis, RescueOffer } from "../../contract/machine/recovery.ts";
import { quotedTitle, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok } from "../../shared/result.ts";
import { askWhich, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { continueSession, mayStart, nameOf, openMade, StartableClient, withRecorded } from "../continue-session.ts";
import { define } from "../operation-command.ts";

interface RescueOptions extends CommonOptions {
  readonly in?: string | undefined;
  /** The client has just ended within seconds of its start. */
  readonly hasFailed?: true;
}

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "rescue", {
    input: z.strictObject({
      session: z.string().optional(),
      in: StartableClient.describe("continue it in a new chat of this client, with the brief"),
    }),
    summary: "Find why a session cannot be continued, and continue it all the same.",
    example: { session: "5f0e0e5e" },
    args: ["session"],
    own: [new Option("-y, --yes", "do the first of what works, without asking")],
    run: (input, { yes = false, json = false }) => rescue(cli, { in: input.in, yes, json }, input.session),
  });
}

/** Changes nothing before a yes. */
async function rescue(cli: Cli, options: RescueOptions, id: string | undefined): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const asked =
    id === undefined
      ? await cli.call("recovery.diagnose", { folder })
      : await withRecorded(cli, id, (session) => cli.call("recovery.diagnose", { folder, session }));
  if (!asked.ok) return asked;
  const { healthy, diagnosis, scripts } = asked.value;
  if (diagnosis === null) return ok({ data: asked.value, text: allHealthyText(folder, healthy, scripts) });
  if (options.in !== undefined)
    return continueSession(cli, diagnosis.session, { ...options, in: options.in, isNew: true });
  const done = await offerRescue(cli, diagnosis, options);
  return done ?? ok({ data: diagnosis, text: "Nothing was changed.\n" });
}

function allHealthyText(folder: string, healthy: readonly Diagnosis[], scripts: number): string {
  const [newest] = healthy;
  const first = healthy.find(({ isAlive }) => !isAlive) ?? newest;
  if (!first)
    return `SHIM has recorded no session of ${folder}. If the folder was moved, \`shim sessions\` lists those of before; \`shim rescue <id>\` also searches the clients' own files.\n`;
  const sessions = healthy.length === 1 ? "session" : pluralize(healthy.length, "session");
  const lines = healthy.map(({ shortId, title, why, lost }) => {
    const gone = lost === 0 ? "" : `; ${lostText(lost)}`;
    return `  ${shortId}  ${quotedTitle(title)}: ${why}${gone}\n`;
  });
  if (scripts > 0)
    lines.push(`  not searched: ${pluralize(scripts, "run")} of scripts (\`shim sessions --scripts\`)\n`);
  const hint = `\`shim rescue ${first.shortId}\` offers a new chat with its brief all the same.\n`;
  return `Nothing was found that stops the newest ${sessions} of ${folder}:\n${lines.join("")}${hint}`;
}

/** After the client has ended at once. @returns null: nothing was done */
export async function rescueAfterFailure(cli: Cli, session: string): Promise<CommandResult | null> {
  const asked = await cli.call("recovery.diagnose", { session, folder: cli.io.cwd, hasFailed: true });
  const diagnosis = asked.ok ? asked.value.diagnosis : null;
  return diagnosis?.reason ? offerRescue(cli, diagnosis, { hasFailed: true }) : null;
}

/** @returns null: the user wants none of the ways */
async function offerRescue(cli: Cli, diagnosis: Diagnosis, options: RescueOptions): Promise<CommandResult | null> {
  const { offers, isAlive, reason } = diagnosis;
  const lines = offers.map(({ text }, at) => `  ${at + 1}  ${text}\n`);
  const running = isAlive ? "It still runs: end that chat first.\n" : "";
  const ways = reason === null || reason === "refused" ? "What works besides" : "What works, cheapest first";
  const text = `${diagnosisText(diagnosis)}${running}${ways}:\n${lines.join("")}`;
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
  const asked = await askWhich(cli, offers.length, "Nothing was changed.");
  if (!asked.ok) return asked;
  const chosen = asked.value === null ? undefined : offers[asked.value];
  return chosen ? doOffer(cli, diagnosis, chosen, options) : null;
}

/** The session, its file, what is wrong and why. */
function diagnosisText({ reason, why, file, shortId, isRead, lost, isAlive, ...named }: Diagnosis): string {
  const name = nameOf(named);
  const where = file === null ? "" : `Its file: ${file}\n`;
  const resume = isAlive ? "" : `\`shim resume ${shortId}\` continues it in its client.\n`;
  if (reason === null && lost > 0) {
    return `${name} can be continued without what is lost: ${lostText(lost)}; ${why}.\n${where}${resume}`;
  }
  if (reason === null)
    return `Nothing is ${isRead ? "" : "known to be "}wrong with ${name}: ${why}.\n${where}${resume}`;
  if (reason === "refused") return `${name} may be refused again: ${why}.\n${where}${resume}`;
  const words = reason === "unknown" ? "not continued by its client" : reason.replaceAll("_", " ");
  return `${name} is ${words}: ${why}.\n${where}`;
}

function lostText(parts: number): string {
  const verb = parts === 1 ? "is" : "are";
  return `${pluralize(parts, "part")} of its file ${verb} damaged or missing, and what stood there is lost`;
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
  const about = [`${copy.session}${where} is a copy of ${session}, which stays as it is.`];
  return openMade(cli, { session, made: copy.session, start: copy.start, about, data }, options);
}

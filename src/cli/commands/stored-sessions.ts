import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import * as z from "zod";
import { titleOf } from "../../clients/adapters.ts";
import { hookClients } from "../../contract/clients.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { storedStates, type CheckedSession } from "../../contract/machine/stores.ts";
import { firstOf, oneLine, pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { exitCodes, wrongUsage } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { defineOperation, defineProgram } from "../operation-command.ts";
import { shortPath } from "../screen-text.ts";
import type { Lines } from "../views.ts";

/** `shim sessions check` and `import`: what the clients themselves keep. */
export function addStoredCommands(sessions: Command, cli: Cli): void {
  defineOperation(cli, sessions, "check", {
    operation: "stores.check",
    fixed: { folder: cli.io.cwd },
    before: () => {
      // Rows are garbage at once: a larger heap for them takes 50 MB and saves no time.
      setFlagsFromString("--max-semi-space-size=2");
      setFlagsFromString("--semi-space-growth-factor=1");
      return Promise.resolve(ok(null));
    },
    view: checkView,
    exitOf: ({ sessions: all, unread }) =>
      unread.length > 0 || all.some(({ state }) => state === "damaged") ? exitCodes.failed : exitCodes.ok,
  });
  const details = {
    input: ImportInput,
    summary: "Add what `shim sessions export` has written; or with --all the sessions that clients keep.",
    args: ["file"],
  };
  defineProgram(cli, sessions.command("import"), details, ({ file, all, client }) => {
    if (all === (file !== undefined)) return wrongUsage("give a file, or --all.");
    if (all) return importAll(cli, client);
    return cli.show("sessions.import", { file: file ?? "" }, ({ added, skipped }) => ({
      text: [`Imported ${pluralize(added, "row")}; already here: ${skipped}.`],
    }));
  });
}

type Checked = MachineOutput<"stores.check">;

const maxFindings = 3;
const colours = { damaged: "red", poisoned: "red", invisible: "yellow", expiring: "yellow", whole: "green" } as const;

/** The whole ones first: what is wrong stands where a terminal shows it. */
function checkView({ stores, sessions, unread }: Checked, cli: Cli): Lines {
  const home = cli.io.env["HOME"] ?? "";
  const ordered = sessions.toSorted(
    (a, b) => storedStates.indexOf(b.state) - storedStates.indexOf(a.state) || a.changedAt - b.changedAt,
  );
  return [
    ...ordered.flatMap((one) => sessionLines(one, cli)),
    sessions.length > 0 && "",
    ...stores.map(({ client, path, isThere, sessions: count, notes }) => {
      const found = isThere ? [pluralize(count, "session"), ...notes].join("; ") : "not there";
      return `${titleOf(client)}, ${shortPath(path, home)}: ${found}`;
    }),
    ...unread.map(({ file, why }) => `${cli.paint("red", "not read")}  ${file}: ${why}`),
    ...sumLines(sessions, unread.length),
  ];
}

function sessionLines(one: CheckedSession, cli: Cli): string[] {
  const { state, session, title, bytes, changedAt, findings, kept } = one;
  const about = `${titleOf(one.client)} ${session}  ${cli.ago(changedAt)}, ${sizeText(bytes)}, ${contentText(one)}`;
  const shown = findings.slice(0, maxFindings).map((finding) => `          ${oneLine(finding.text, 400)}`);
  const more = findings.length - shown.length;
  return [
    `${cli.paint(colours[state], state.padEnd(9))} ${about}${title === null ? "" : `  "${oneLine(title, 60)}"`}`,
    ...shown,
    ...(more > 0 ? [`          and ${more} more (--json has all)`] : []),
    ...(kept === null ? [] : [`          copied to ${kept}`]),
  ];
}

function contentText({ lines, prompts, sent, subagents }: CheckedSession): string {
  const isPart = sent !== null && sent !== prompts;
  return [
    pluralize(lines, "row"),
    `${pluralize(prompts, "prompt")}${isPart ? ` (its client sends ${sent})` : ""}`,
    ...(subagents > 0 ? [pluralize(subagents, "sub-agent")] : []),
  ].join(", ");
}

function sizeText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function sumLines(sessions: readonly CheckedSession[], unread: number): string[] {
  const of = (state: CheckedSession["state"]): number => sessions.filter((one) => one.state === state).length;
  const sum = (part: keyof CheckedSession["read"]): number => sessions.reduce((all, { read }) => all + read[part], 0);
  const [rows, damaged, blank] = [sum("rows"), sum("damaged"), sum("blank")];
  const counts = storedStates.toReversed().map((state) => `${of(state)} ${state}`);
  const notRead = unread === 0 ? "" : `; ${pluralize(unread, "file")} could not be read`;
  return [
    `${pluralize(sessions.length, "session")}: ${counts.join(", ")}${notRead}.`,
    `Read: ${grouped(rows + damaged + blank)} bytes, of which ${grouped(rows)} are rows, ${grouped(damaged)} hold none, ${grouped(blank)} are blank.`,
    ...(of("damaged") + of("poisoned") + of("invisible") > 0
      ? ["`shim rescue <id>` says what works, and copies a session so that its client opens it."]
      : []),
    ...(of("expiring") > 0 ? ["`shim sessions check --keep` copies what its client is about to delete."] : []),
  ];
}

const ImportInput = z.strictObject({
  file: z.string().optional().meta({ form: "file" }),
  all: z.boolean().default(false).describe("all sessions that clients keep on this machine"),
  client: z.enum(hookClients).optional().describe("with --all: those of one client"),
});

/** Each session is stored by itself: one that is interrupted can be repeated. */
async function importAll(cli: Cli, client: (typeof hookClients)[number] | undefined): Promise<CommandResult> {
  const folder = cli.io.cwd;
  const listed = await cli.call("stores.list", client === undefined ? {} : { client });
  if (!listed.ok) return listed;
  const { sessions } = listed.value;
  const counts = { new: 0, again: 0, recorded: 0, damaged: 0 };
  const refused: { session: string; file: string | null; why: string }[] = [];
  for (const [at, { session, file }] of sessions.entries()) {
    cli.passing(`${at + 1} of ${sessions.length}: ${session}`);
    const done =
      file === null
        ? await cli.call("transcripts.import-session", { session, folder })
        : await cli.call("transcripts.import", { file, folder });
    if (!done.ok) {
      refused.push({ session, file, why: done.error.message.replace(`${file}: `, "") });
      continue;
    }
    const { how, damages } = "how" in done.value ? done.value : { how: "new" as const, damages: 0 };
    counts[how] += 1;
    if (damages > 0) counts.damaged += 1;
  }
  cli.passing("");
  const { new: added, again, recorded, damaged } = counts;
  const text = [
    `Of ${pluralize(sessions.length, "session")} ${added} were added, ${again} read again, ${recorded} left as their chats have recorded them; ${refused.length} could not be read.`,
    damaged > 0 && `In ${damaged} of them parts could not be read: \`shim sessions check\` says which.`,
    refused.length > 0 &&
      `Not read: ${firstOf(
        refused.map(({ file, session, why }) => `${file ?? session} (${oneLine(why, 120)})`),
        5,
      )}`,
  ];
  return ok({ data: { added, again, recorded, damaged, refused }, text });
}

function grouped(count: number): string {
  return count.toLocaleString("en");
}

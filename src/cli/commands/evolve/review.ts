import * as z from "zod";
import { Folder } from "../../../contract/machine/forms.ts";
import type { Accepted, Offered, Review } from "../../../evolution/review.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { tableView } from "../../views.ts";
import { mergedText } from "../tasks/branches.ts";
import { verdictText } from "./format-evolve.ts";

const task = z.int().min(1).optional();
export const ReviewInput = z.strictObject({
  folder: Folder.optional(),
  accept: task.describe("merge the work of this task into the branch you are on"),
  reject: task.describe("never propose this task's change again"),
  reason: z.string().default("").describe("why it is rejected"),
});

/** [EV15] Accepts, rejects, or lists what waits; in a terminal it asks for each. */
export async function reviewRuns(
  cli: Cli,
  { folder = cli.io.cwd, accept, reject, reason }: z.infer<typeof ReviewInput>,
  isJson: boolean,
): Promise<CommandResult> {
  if (accept !== undefined && reject !== undefined) return wrongUsage("give --accept or --reject, not both.");
  if (reject !== undefined && reason.trim() === "") return wrongUsage("--reject needs a --reason.");
  const { withReview } = await import("../../../evolution/review.ts");
  return withReview(cli.context, folder, async (review) => {
    if (accept !== undefined) return acceptChange(review, accept);
    if (reject !== undefined) return rejectChange(review, reject, reason);
    const isAsked = cli.io.isInteractive && !isJson && review.offered.length > 0;
    return isAsked ? askForEach(cli, review) : ok(list(cli, review.offered));
  });
}

async function acceptChange(review: Review, number: number): Promise<CommandResult> {
  const merged = await review.accept(number);
  return merged.ok ? ok({ data: merged.value, text: mergedText(merged.value) + branchText(merged.value) }) : merged;
}

function branchText({ branch, isDeleted }: Accepted): string {
  return `Its branch ${branch} is ${isDeleted ? "deleted" : "left"}.\n`;
}

function rejectChange(review: Review, number: number, reason: string): CommandResult {
  const rejected = review.reject(number, reason.trim());
  if (!rejected.ok) return rejected;
  const { branch } = rejected.value;
  const text = `Task ${number} is rejected, and will not be proposed again. Its branch is left: git branch -D ${branch}\n`;
  return ok({ data: { task: number, decision: "rejected", reason, branch }, text });
}

const view = tableView<readonly Offered[], Offered>({
  rows: (offered) => offered,
  columns: () => ({
    TASK: ({ task: number }) => String(number),
    BRANCH: ({ branch }) => branch,
    WHAT: ({ what }) => what,
    JUDGE: ({ verdict }) => verdictText(verdict),
  }),
  empty: "Nothing waits for a decision.",
  notes: () => [
    "`shim task diff <task>` shows one; --accept <task> merges it, --reject <task> --reason <text> does not.",
  ],
});

function list(cli: Cli, offered: readonly Offered[]): { readonly data: unknown; readonly text: string } {
  const data = offered.map(({ task: number, what, branch, commit, verdict }) => ({
    task: number,
    what,
    branch,
    commit,
    verdict,
  }));
  return { data: { offered: data }, text: view(offered, cli, null) };
}

async function askForEach(cli: Cli, review: Review): Promise<CommandResult> {
  const decided: { readonly task: number; readonly decision: string }[] = [];
  for (const { task: number, what, verdict } of review.offered) {
    const head = `Task ${number}: ${what}\n${verdictText(verdict)}\n\n`;
    cli.io.stdout(cli.verbatim(`${head}${await review.diff(number)}\n`));
    const decision = await askFor(cli, review, number);
    if (decision === "quit") break;
    if (decision !== "skipped") decided.push({ task: number, decision });
  }
  const left = review.offered.length - decided.length;
  return ok({ data: { decided, left }, text: `${pluralize(decided.length, "change")} decided, ${left} left.\n` });
}

async function askFor(cli: Cli, review: Review, number: number): Promise<"accepted" | "rejected" | "skipped" | "quit"> {
  const reply = (await cli.io.ask("[a]ccept, [r]eject, [s]kip or [q]uit? ")).trim().toLowerCase();
  if (reply.startsWith("q")) return "quit";
  const isAccepted = reply.startsWith("a");
  const reason = reply.startsWith("r") ? (await cli.io.ask("Why? ")).trim() : "";
  if (!isAccepted && reason === "") return "skipped";
  const done = isAccepted ? await acceptChange(review, number) : rejectChange(review, number, reason);
  cli.io.stdout(cli.verbatim(done.ok ? done.value.text : `${done.error.message}\n`));
  if (!done.ok) return "skipped";
  return isAccepted ? "accepted" : "rejected";
}

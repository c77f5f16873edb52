import { pluralize } from "../../../shared/format.ts";
import { ruleName } from "../../../evolution/rank.ts";
import { describe } from "../../../evolution/make-plan.ts";
import { parseChange, type Change } from "../../../evolution/run-state.ts";
import type { Decision } from "../../../platform/evolve-decisions.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { lines, run, type Git } from "../../../snapshots/git.ts";
import { gitInFolder, hasCommit } from "../../../worker-runner/work-git.ts";
import { failed, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { diffTask, mergedText, mergeTask } from "../tasks/branches.ts";
import type { ReviewFlags } from "./evolve.ts";
import { verdictText } from "./format-evolve.ts";
import { findProject, type FoundProject } from "./project.ts";

type Result = NonNullable<Change["result"]>;

/** A change that was kept and waits for a decision. */
type Offered = Change & { readonly result: Result & { readonly branch: string } };

/** [EV15] Accepts, rejects, or lists what waits; in a terminal it asks for each. */
export async function reviewRuns(cli: Cli, flags: ReviewFlags, folder: string): Promise<CommandResult> {
  const { accept, reject, reason } = flags;
  if (reject !== undefined && (reason ?? "").trim() === "") return wrongUsage("--reject needs a --reason.");
  const found = await findProject(cli, folder);
  if (!found.ok) return found;
  return cli.withWorkspace(async (link) => {
    const offered = await listOffered(cli, link, found.value);
    if (!offered.ok) return offered;
    const context = { cli, link, found: found.value, offered: offered.value };
    if (accept !== undefined) return withOffered(context, accept, (one) => acceptChange(context, one));
    if (reject !== undefined) return withOffered(context, reject, (one) => rejectChange(context, one, reason ?? ""));
    if (!cli.io.isInteractive || flags.json || offered.value.length === 0) return list(cli, offered.value);
    return askForEach(context);
  });
}

interface Context {
  readonly cli: Cli;
  readonly link: Workspace;
  readonly found: FoundProject;
  readonly offered: readonly Offered[];
}

/** Done tasks of any run, whose commit is in this repository. */
async function listOffered(cli: Cli, link: Workspace, found: FoundProject): Promise<CliResult<Offered[]>> {
  const decided = new Set(found.files.decisions().map(({ task, candidate }) => `${task} ${candidate}`));
  const git = gitInFolder(cli.io.env, found.project.top);
  const offered: Offered[] = [];
  let cursor: string | undefined;
  do {
    const page = await link.call(
      "tasks.list",
      omitUndefined({ tag: "evolve", state: "done", limit: 200, cursor } as const),
    );
    if (!page.ok) return page;
    for (const { task } of page.value.tasks) {
      const change = await readChange(link, task);
      if (!change.ok) return change;
      const isOpen = change.value !== null && !decided.has(`${task} ${change.value.candidate.id}`);
      if (isOpen && (await hasCommit(git, change.value.result.commit))) offered.push(change.value);
    }
    cursor = page.value.cursor ?? undefined;
  } while (cursor !== undefined);
  return ok(offered.toSorted((a, b) => a.task - b.task));
}

/** @returns null: no change, or one that left no branch */
async function readChange(link: Workspace, task: number): Promise<CliResult<Offered | null>> {
  const read = await link.call("tasks.get", { task });
  if (!read.ok) return read;
  const change = parseChange(read.value)?.change;
  return ok(change && isOffered(change) ? change : null);
}

function isOffered(change: Change): change is Offered {
  return change.result !== null && change.result.branch !== null;
}

function withOffered(
  { offered }: Context,
  task: number,
  body: (one: Offered) => Promise<CommandResult>,
): Promise<CommandResult> {
  const found = offered.find((one) => one.task === task);
  const waiting = offered.map((one) => one.task).join(", ") || "none";
  return found
    ? body(found)
    : Promise.resolve(notFound(`task ${task} offers no change that waits for a decision; these do: ${waiting}.`));
}

async function acceptChange({ cli, link, found }: Context, one: Offered): Promise<CommandResult> {
  const rejected = new Set(found.files.decisions().flatMap((past) => (past.isAccepted ? [] : [past.task])));
  const spoiled = one.dependsOn.find((task) => rejected.has(task));
  if (spoiled !== undefined)
    return failed(
      "contains_rejected",
      `task ${one.task} began with the work of task ${spoiled}, which was rejected. Reject it, or merge by hand.`,
    );
  const merged = await mergeTask({ cli, link, options: {} }, one.task);
  if (!merged.ok) return merged;
  found.files.addDecision(toDecision(cli, one, null));
  const { branch } = one.result;
  const isDeleted = await deleteMerged(gitInFolder(cli.io.env, found.project.top), branch);
  const text = isDeleted ? `Its branch ${branch} is deleted.\n` : `Its branch ${branch} is left.\n`;
  return ok({ data: merged.value, text: mergedText(merged.value) + text });
}

/** Git refuses where the branch is checked out. */
async function deleteMerged(git: Git, branch: string): Promise<boolean> {
  const ref = `refs/heads/${branch}`;
  const merged = await lines(git, ["for-each-ref", "--merged=HEAD", "--format=%(refname)", ref]);
  if (!merged.includes(ref)) return false;
  return (await run(git, ["branch", "--quiet", "-D", "--", branch], "", [0, 1])).code === 0;
}

async function rejectChange({ cli, found }: Context, one: Offered, reason: string): Promise<CommandResult> {
  found.files.addDecision(toDecision(cli, one, reason.trim()));
  const { branch } = one.result;
  const text = `Task ${one.task} is rejected, and will not be proposed again. Its branch is left: git branch -D ${branch}\n`;
  return ok({ data: { task: one.task, decision: "rejected", reason, branch }, text });
}

/** @param reason null: accepted */
function toDecision(cli: Cli, { task, candidate }: Offered, reason: string | null): Decision {
  return {
    task,
    candidate: candidate.id,
    isAccepted: reason === null,
    reason,
    rules: [...new Set(candidate.findings.map(ruleName))],
    fingerprints: candidate.findings.map(({ fingerprint }) => fingerprint),
    at: cli.io.now(),
  };
}

function list(cli: Cli, offered: readonly Offered[]): CommandResult {
  const data = offered.map(({ task, candidate, result }) => ({
    task,
    what: describe(candidate),
    branch: result.branch,
    commit: result.commit,
    verdict: result.output,
  }));
  const text = cli.table(
    data,
    {
      TASK: ({ task }) => String(task),
      BRANCH: ({ branch }) => branch,
      WHAT: ({ what }) => what,
      JUDGE: ({ verdict }) => verdictText(verdict),
    },
    "Nothing waits for a decision.\n",
  );
  const advice =
    "`shim task diff <task>` shows one; --accept <task> merges it, --reject <task> --reason <text> does not.\n";
  return ok({ data: { offered: data }, text: data.length === 0 ? text : text + advice });
}

async function askForEach(context: Context): Promise<CommandResult> {
  const { cli, link, offered } = context;
  const decided: { readonly task: number; readonly decision: string }[] = [];
  for (const one of offered) {
    const diff = await diffTask({ cli, link, options: {} }, one.task);
    const head = `Task ${one.task}: ${describe(one.candidate)}\n${verdictText(one.result.output)}\n\n`;
    cli.io.stdout(cli.verbatim(`${head}${diff.ok ? diff.value.diff : diff.error.message}\n`));
    const decision = await askFor(context, one);
    if (decision === "quit") break;
    if (decision !== "skipped") decided.push({ task: one.task, decision });
  }
  const left = offered.length - decided.length;
  return ok({ data: { decided, left }, text: `${pluralize(decided.length, "change")} decided, ${left} left.\n` });
}

async function askFor(context: Context, one: Offered): Promise<"accepted" | "rejected" | "skipped" | "quit"> {
  const { cli } = context;
  const reply = (await cli.io.ask("[a]ccept, [r]eject, [s]kip or [q]uit? ")).trim().toLowerCase();
  if (reply.startsWith("q")) return "quit";
  const isAccepted = reply.startsWith("a");
  const reason = reply.startsWith("r") ? (await cli.io.ask("Why? ")).trim() : "";
  if (!isAccepted && reason === "") return "skipped";
  const done = isAccepted ? await acceptChange(context, one) : await rejectChange(context, one, reason);
  cli.io.stdout(cli.verbatim(done.ok ? done.value.text : `${done.error.message}\n`));
  if (!done.ok) return "skipped";
  return isAccepted ? "accepted" : "rejected";
}

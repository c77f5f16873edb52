import type { OutputOf } from "../../../contract/operations.ts";
import { WorkResult } from "../../../contract/work-result.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, Columns, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { whyNoBranch } from "./task-work.ts";

type Task = OutputOf<"tasks.get">;

type Integration =
  | { readonly branch: string; readonly commit: string; readonly machine: string | null; readonly tests: string | null }
  | { readonly branch: null; readonly why: string };

const maxParts = 100;

export async function showJob(cli: Cli, link: Workspace, job: number): Promise<CommandResult> {
  const root = await link.call("tasks.get", { task: job });
  if (!root.ok) return root;
  const below = await link.call("tasks.list", { parent: job, limit: maxParts });
  if (!below.ok) return below;
  const parts: PartView[] = [];
  for (const { task } of below.value.tasks) {
    const part = await link.call("tasks.get", { task });
    if (!part.ok) return part;
    parts.push(toPart(part.value));
  }
  const integration = toIntegration(root.value);
  const { type, state, reason, detail } = root.value;
  const data = { job, type, state, reason, detail, integration, parts };
  const head = `Job ${job} (${type}) is ${state}.\n${integrationText(job, integration)}`;
  const columns: Columns<PartView> = {
    PART: ({ ref }) => ref ?? "-",
    TASK: ({ task }) => String(task),
    STATE: (part) => part.state,
    BRANCH: ({ branch }) => branch ?? "-",
  };
  return ok({ data, text: head + cli.table(parts, columns, "") });
}

interface PartView {
  readonly task: number;
  readonly ref: string | null;
  readonly state: string;
  readonly branch: string | null;
  readonly commit: string | null;
}

function toPart({ task, ref, state, result }: Task): PartView {
  const { data } = WorkResult.safeParse(result);
  return { task, ref, state, branch: data?.branch ?? null, commit: data?.commit ?? null };
}

function toIntegration(root: Task): Integration {
  const why = whyNoBranch(root);
  if (why !== null) return { branch: null, why };
  const { branch, commit, machine = null, tests } = WorkResult.parse(root.result);
  return { branch: branch ?? "", commit, machine, tests: tests?.command ?? null };
}

function integrationText(job: number, integration: Integration): string {
  if (integration.branch === null) return `It has no branch: ${integration.why}.\n`;
  const { branch, commit, machine, tests } = integration;
  const tested =
    tests === null
      ? "no tests ran on it: its worker's settings name none (jobTests)"
      : `its tests have passed: ${tests}`;
  const where = machine === null ? "" : ` on ${machine}`;
  return `All of it is on ${branch} (${commit.slice(0, 12)}${where}); ${tested}. \`shim task diff ${job} --all\` shows it, \`shim task merge ${job}\` merges it.\n`;
}

import type { Command } from "commander";
import type { AuditEntry } from "../../../contract/workspaces.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import {
  limitOption,
  momentOption,
  revision,
  type Cli,
  type Columns,
  type CommonOptions,
  type CommandResult,
} from "../../cli.ts";
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { needsAdmin } from "../../needs-admin.ts";

interface Options extends CommonOptions {
  readonly kind?: string;
  readonly subject?: string;
  readonly actor?: string;
  readonly since?: number;
  readonly before?: number;
  readonly limit?: number;
}

const defaultLimit = 50;
const maxPerPage = 500;

export function addAudit(program: Command, cli: Cli): void {
  const command = program
    .command("audit")
    .description("who acquired, lost, changed and ended what in the workspace, newest first")
    .option("--kind <kind>", "such as lease.granted, chat.offline, settings.changed")
    .option("--subject <text>", "only entries whose subject begins with it")
    .option("--actor <text>", "only entries whose actor begins with it")
    .option("--since <time>", "not older (2h, 3d, 2026-11-20)", momentOption(cli.io, "first"))
    .option("--before <number>", "older than the entry with this number", revision)
    .addOption(limitOption(defaultLimit));
  cli.define(command, (options: Options) => withCheckedLink(cli, (link) => showAudit(cli, link, options)));
}

async function showAudit(cli: Cli, link: CoordinatorLink, options: Options): Promise<CommandResult> {
  const found = await findEntries(cli, link, options);
  if (!found.ok) return needsAdmin(link, "Reading the audit log", found);
  const { entries, before } = found.value;
  const text = cli.table(entries, columns, "No entries.\n");
  const more = before === null ? "" : `There are more: --before ${before}\n`;
  return ok({ data: { entries, before }, text: text + more });
}

const columns: Columns<AuditEntry> = {
  NUMBER: ({ seq }) => String(seq),
  WHEN: ({ ageMs }) => `${age(ageMs)} ago`,
  KIND: ({ kind }) => kind,
  SUBJECT: ({ subject }) => subject,
  ACTOR: ({ actor }) => actor ?? "-",
  DETAIL: ({ detail }) => oneLine(detailText(detail), 80),
};

interface AuditPage {
  readonly entries: AuditEntry[];
  readonly before: number | null;
}

/** [CL105] Applies the filters that the coordinator lacks, until one entry more than the limit. */
async function findEntries(cli: Cli, link: CoordinatorLink, options: Options): Promise<CliResult<AuditPage>> {
  const { kind, limit = defaultLimit } = options;
  const entries: AuditEntry[] = [];
  let { before } = options;
  for (let isLast = false; !isLast && entries.length <= limit;) {
    const page = await link.call("audit.list", { limit: maxPerPage, ...omitUndefined({ kind, before }) });
    if (!page.ok) return page;
    const recentEntries = page.value.entries.filter(({ ageMs }) => cli.io.now() - ageMs >= (options.since ?? 0));
    entries.push(...recentEntries.filter((one) => matchesFilter(one, options)));
    isLast = recentEntries.length < maxPerPage;
    before = recentEntries.at(-1)?.seq;
  }
  const shown = entries.slice(0, limit);
  return ok({ entries: shown, before: entries.length > limit ? (shown.at(-1)?.seq ?? null) : null });
}

function matchesFilter({ subject, actor }: AuditEntry, filter: Options): boolean {
  return subject.startsWith(filter.subject ?? "") && (actor ?? "").startsWith(filter.actor ?? "");
}

function detailText(detail: AuditEntry["detail"]): string {
  if (typeof detail !== "object" || detail === null) return "-";
  const pairs = Object.entries(detail).map(
    ([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return pairs.join(", ") || "-";
}

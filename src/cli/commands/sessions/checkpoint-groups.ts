import { basename } from "node:path";
import type { Sql } from "../../../shared/sql.ts";
import * as checkpoints from "../../../local-mcp/checkpoints/checkpoints.ts";
import { readContents, type CheckpointContents } from "../../../local-mcp/checkpoints/contents.ts";
import * as sessions from "../../../local-mcp/sessions/sessions.ts";
import { shortCheckpointId, shortSessionId } from "../../../local-mcp/sessions/short-ids.ts";
import type { Cli } from "../../cli.ts";
import { oneLine, shortPath, table } from "../../screen-text.ts";

/** Printed as JSON: fields are only added. */
export interface ListedCheckpoint extends checkpoints.Checkpoint {
  readonly shortId: string;
  readonly contents: CheckpointContents;
}

/** Printed as JSON: fields are only added. */
export interface CheckpointGroup {
  readonly id: string;
  readonly shortId: string;
  readonly title: string | null;
  readonly project: string | null;
  /** Number of all checkpoints that match. */
  readonly total: number;
  /** Newest first, cut to the limit. */
  readonly checkpoints: readonly ListedCheckpoint[];
}

interface GroupLimits {
  readonly sessions: number;
  readonly perSession: number;
}

/** [CL83] */
export function checkpointGroups(
  sql: Sql,
  filter: checkpoints.CheckpointFilter,
  limits: GroupLimits,
): CheckpointGroup[] {
  return checkpoints.sessionsWith(sql, { ...filter, limit: limits.sessions }).map(({ sessionId, total }) => {
    const session = sessions.get(sql, sessionId);
    const newest = checkpoints.search(sql, { ...filter, session: sessionId, limit: limits.perSession });
    return {
      id: sessionId,
      shortId: shortSessionId(sql, sessionId),
      title: session && sessions.displayTitle(session),
      project: session?.project ?? null,
      total,
      checkpoints: newest.map((one) => toListed(sql, one)),
    };
  });
}

function toListed(sql: Sql, one: checkpoints.Checkpoint): ListedCheckpoint {
  return { ...one, shortId: shortCheckpointId(sql, one.id), contents: readContents(sql, one) };
}

type ExtraLines = (one: ListedCheckpoint) => readonly string[];

export function groupsText(cli: Cli, groups: readonly CheckpointGroup[], extraLines: ExtraLines = () => []): string {
  const { columns } = cli.io.size();
  const rows = groups.flatMap((group) => group.checkpoints.map((one) => toRow(cli, one, columns)));
  const heads = [["  CHECKPOINT", "SAVED", "BECAUSE", "LAST REQUEST", "LAST TOOL", "CHANGED FILES"]];
  const [head = "", ...lines] = table([...heads, ...rows], columns).split("\n");
  const blocks = groups.map((group) => {
    const groupRows = group.checkpoints.flatMap((one) => [lines.shift() ?? "", ...extraLines(one)]);
    return [formatHeading(cli, group), ...groupRows, ...moreLines(group)].join("\n");
  });
  return `${[head, ...blocks].join("\n")}\n`;
}

function formatHeading(cli: Cli, { shortId, title, project }: CheckpointGroup): string {
  const folder = project === null ? "" : `  ${shortPath(project, cli.io.env["HOME"] ?? "")}`;
  return cli.paint("bold", `${shortId}  ${oneLine(title ?? "untitled", 60)}${folder}`);
}

function moreLines({ shortId, total, checkpoints: shown }: CheckpointGroup): string[] {
  const more = total - shown.length;
  return more === 0 ? [] : [`  ${more} more: add \`--session ${shortId}\``];
}

function toRow(cli: Cli, one: ListedCheckpoint, columns: number): string[] {
  const room = Math.max(16, Math.floor((columns - 50) / 3));
  const { lastRequest, lastTool, changedFiles, isDamaged } = one.contents;
  const tool = lastTool === null ? "-" : `${lastTool.name} ${lastTool.input}`;
  const request = isDamaged ? "(damaged)" : (lastRequest ?? "-");
  return [
    `  ${one.shortId}`,
    cli.ago(one.at),
    one.trigger,
    oneLine(request, room),
    oneLine(tool, room),
    oneLine(filesText(changedFiles), room),
  ];
}

const maxFileNames = 3;

function filesText(paths: readonly string[]): string {
  if (paths.length === 0) return "-";
  const names = paths
    .slice(-maxFileNames)
    .toReversed()
    .map((path) => basename(path));
  const more = paths.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

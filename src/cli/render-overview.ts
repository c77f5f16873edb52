import { age } from "../local-mcp/recovery/brief.ts";
import type { RiskLevel } from "../contract/readings.ts";
import type { Overview } from "./overview.ts";
import { many, oneLine, shortId, shortPath, type Paint } from "./screen-text.ts";
import { howToJoin, teamFacts, teamLines } from "./render-team.ts";
import type { SessionView } from "./session-view.ts";
import { localTime } from "./times.ts";

/** Pure: the overview as text. */

export interface Look {
  readonly paint: Paint;
  readonly columns: number;
  /** The user's home folder, shown as `~`. */
  readonly home: string;
}

const levelColours: Record<RiskLevel, "green" | "yellow" | "red"> = {
  safe: "green",
  warning: "yellow",
  danger: "red",
  critical: "red",
};

/** [CL20] The whole view, one line each. */
export function lines(shown: Overview, look: Look): string[] {
  const { paint } = look;
  const { alive, incomplete, finished, notices, pauses } = shown;
  return [
    paint("bold", `SHIM at ${localTime(shown.at)}, ${shortPath(shown.store.path, look.home)}`),
    ...notices.map((one) => paint("yellow", `notice ${one.id}: ${one.text}`)),
    ...pauses.map((one) =>
      paint(
        "yellow",
        `paused: ${one.project ?? "every project"}${one.until === null ? "" : ` until ${localTime(one.until)}`}`,
      ),
    ),
    "",
    ...part(
      look,
      `Alive (${alive.length})`,
      alive.map((one) => aliveLine(one, shown.at, look)),
    ),
    ...part(
      look,
      `Died unfinished (${incomplete.length})`,
      incomplete.map((one) => deadLine(one, shown.at, look)),
    ),
    ...teamLines(shown.team, paint),
    ...part(
      look,
      "Finished in the last day",
      finished.map((one) => finishedLine(one, shown.at, look)),
    ),
    ...howToGoOn(shown),
    ...howToJoin(shown.team),
  ];
}

function part(look: Look, title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : [look.paint("bold", title), ...rows.map((row) => `  ${row}`), ""];
}

function aliveLine(one: SessionView, now: number, look: Look): string {
  const level = one.risk?.level ?? "safe";
  const risk = look.paint(levelColours[level], `risk ${one.risk?.score ?? 0} ${level}`);
  const why = one.risk?.reasons.map((reason) => reason.name).join(", ");
  const saved = one.savedAt === null ? "not saved yet" : `saved ${age(now - one.savedAt)} ago`;
  const fill = one.contextFill === null ? "" : `, context ${Math.round(one.contextFill * 100)} %`;
  return `${head(one, look)}  ${saved}, ${risk}${why ? ` (${why})` : ""}${fill}`;
}

function deadLine(one: SessionView, now: number, look: Look): string {
  const death = look.paint("red", `${one.cause}, ${age(now - one.lastSeenAt)} ago`);
  return `${head(one, look)}  ${death}: shim resume ${shortId(one.id)}`;
}

function finishedLine(one: SessionView, now: number, look: Look): string {
  return look.paint(
    "dim",
    `${head(one, look)}  ${age(now - (one.endedAt ?? now))} ago, ${many(one.checkpoints, "checkpoint")}`,
  );
}

function head(one: SessionView, look: Look): string {
  const room = Math.max(10, Math.min(40, look.columns - 80));
  const project = one.project === null ? one.client : shortPath(one.project, look.home);
  return `${shortId(one.id)}  ${project}  ${oneLine(one.title ?? "untitled", room)}`;
}

/** [CL8] Where there is nothing to see yet: what to do. */
function howToGoOn(shown: Overview): string[] {
  const isInstalled = shown.clients.some((one) => one.isInstalled);
  const hasSessions = shown.alive.length + shown.incomplete.length + shown.finished.length > 0;
  const nothing = shown.store.isThere ? "No session is running." : "Nothing is stored on this machine yet.";
  const state = shown.alive.length > 0 ? [] : [nothing];
  if (isInstalled) return hasSessions || state.length === 0 ? state : [...state, "Start a chat; it appears here."];
  const found = shown.clients.map((one) => one.label).join(" and ");
  const which =
    found === ""
      ? "No client was found here; SHIM works with Claude Code, Claude Desktop and any MCP client."
      : `${found}: SHIM is not connected.`;
  return [
    ...state,
    which,
    "  shim init     connects it (in a clone: npm run init)",
    "  npm run demo  shows a session die and come back",
  ];
}

/** For a reader that is no terminal: a line for each thing, without ages, so that it changes only when the thing does. */
export function facts(shown: Overview): Map<string, string> {
  const sessions = [...shown.alive, ...shown.incomplete, ...shown.finished];
  return new Map([
    ...sessions.map((one): [string, string] => [one.id, fact(one)]),
    ...shown.notices.map((one): [string, string] => [`notice ${one.id}`, `notice ${one.id}: ${one.text}`]),
    ...shown.pauses.map((one): [string, string] => [
      `pause ${one.project}`,
      `paused: ${one.project ?? "every project"}`,
    ]),
    ...teamFacts(shown.team),
  ]);
}

function fact(one: SessionView): string {
  const risk = one.risk ? `, risk ${one.risk.score} ${one.risk.level}` : "";
  const cause = one.cause ? ` (${one.cause}; shim resume ${shortId(one.id)})` : "";
  return `${one.id} ${one.state}${cause}${risk}, ${many(one.checkpoints, "checkpoint")}, ${oneLine(one.title ?? "untitled", 60)}`;
}

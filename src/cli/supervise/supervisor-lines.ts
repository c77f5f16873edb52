import { age } from "../../local-mcp/recovery/brief.ts";
import type { Restarts } from "../../local-mcp/supervisor/auto-restarter.ts";
import type { SupervisorEvent } from "../../local-mcp/supervisor/supervisor-events.ts";
import { oneLine } from "../screen-text.ts";

const mostChars = 2_000;

/** One line for people; of what a program prints, each of its own. */
export function linesOf(event: SupervisorEvent): string[] {
  if (event.type === "output")
    return event.text.split("\n").map((line) => `${event.name} | ${oneLine(line, mostChars)}`);
  return [oneLine(saidBy(event), mostChars)];
}

function saidBy(event: Exclude<SupervisorEvent, { type: "output" }>): string {
  switch (event.type) {
    case "supervising":
      return `supervises ${event.watched.join(", ")} (pid ${event.pid})`;
    case "started":
      return `${event.name}: started (${event.how})`;
    case "ended":
      return `${event.name}: ${phaseText(event, event.againInMs)}; it ran for ${age(event.ranMs)}${retryOf(event)}`;
    case "died":
      return `${event.name}: session ${event.session} died (${event.cause.replaceAll("_", " ")}), ${saved(event.checkpoint)}`;
    case "restarting":
      return `${event.name}: ${whatOf(event)} is started again (${event.how})`;
    case "held":
      return `${event.name}: not started now: ${event.reason}`;
    case "ending":
      return `ends (${event.reason})`;
    case "problem":
      return [event.name, "problem", event.message].filter((part) => part !== null).join(": ");
  }
}

/** Chats are started again by their user. */
function retryOf({ phase, name, isProgram }: Extract<SupervisorEvent, { type: "ended" }>): string {
  return isProgram && phase === "looping" ? `. \`shim supervise retry ${name}\` starts it` : "";
}

function whatOf({ session }: { readonly session: string | null }): string {
  return session === null ? "the app" : `session ${session}`;
}

function saved(checkpoint: string | null): string {
  return checkpoint === null ? "with nothing to save" : `its last checkpoint is ${checkpoint}`;
}

/** How a program is, and what comes next. */
export function phaseText({ phase, reason }: Pick<Restarts, "phase" | "reason">, againInMs: number | null): string {
  const why = becauseOf(reason);
  switch (phase) {
    case "running":
      return "running";
    case "due":
      return `${reason ?? "not started yet"}; ${startText(againInMs ?? 0)}`;
    case "looping":
      return `stopped, since it crashed again and again${why}`;
    case "finished":
    case "stopped":
    case "failed":
  }
  return `${phase}${why}`;
}

function becauseOf(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}

/** An age is rounded down, and a wait up. */
const almostSecondMs = 999;

function startText(ms: number): string {
  return ms === 0 ? "starts next" : `starts in ${age(ms + almostSecondMs)}`;
}

import { age, oneLine } from "../../../shared/format.ts";
import type { WatchedState } from "../../../supervisor/control.ts";
import type { SupervisorEvent } from "../../../supervisor/supervisor-events.ts";

const maxChars = 2_000;

export function formatEvent(event: SupervisorEvent): string[] {
  if (event.type === "output")
    return event.text.split("\n").map((line) => `${event.name} | ${oneLine(line, maxChars)}`);
  return [oneLine(describeEvent(event), maxChars)];
}

function describeEvent(event: Exclude<SupervisorEvent, { type: "output" }>): string {
  switch (event.type) {
    case "supervising":
      return `supervises ${event.watched.join(", ")} (pid ${event.pid})`;
    case "started":
      return `${event.name}: started (${event.how})`;
    case "ended":
      return `${event.name}: ${phaseText(event)}; it ran for ${age(event.ranMs)}${retryHint(event)}`;
    case "died":
      return `${event.name}: session ${event.session} died (${event.cause.replaceAll("_", " ")}), ${savedText(event.checkpoint)}`;
    case "restarting":
      return `${event.name}: ${sessionText(event)} is started again (${event.how})`;
    case "held":
      return `${event.name}: not started now: ${event.reason}`;
    case "ending":
      return `ends (${event.reason})`;
    case "problem":
      return [event.name, "problem", event.message].filter((part) => part !== null).join(": ");
  }
}

function retryHint({ phase, name, isProgram }: Extract<SupervisorEvent, { type: "ended" }>): string {
  return isProgram && phase === "looping" ? `. \`shim worker supervise retry ${name}\` starts it` : "";
}

function sessionText({ session }: { readonly session: string | null }): string {
  return session === null ? "the app" : `session ${session}`;
}

function savedText(checkpoint: string | null): string {
  return checkpoint === null ? "with nothing to save" : `its last checkpoint is ${checkpoint}`;
}

interface PhaseFacts {
  readonly phase: WatchedState["phase"];
  readonly reason: string | null;
  readonly againInMs: number | null;
}

export function phaseText({ phase, reason, againInMs }: PhaseFacts): string {
  const why = reason === null ? "" : `: ${reason}`;
  if (phase === "due") return `${reason ?? "not started yet"}; ${startText(againInMs ?? 0)}`;
  if (phase === "looping") return `stopped, since it crashed again and again${why}`;
  if (phase === "unwatched") return "not watched now";
  return phase === "running" ? phase : `${phase}${why}`;
}

const almostSecondMs = 999;

function startText(ms: number): string {
  return ms === 0 ? "starts next" : `starts in ${age(ms + almostSecondMs)}`;
}

import type { Chat } from "../../../contract/chats.ts";
import type { SessionBrief, SessionPage } from "../../../contract/live-page.ts";
import { scoredBrief } from "../../../local-mcp/recovery/brief.ts";
import { localSource } from "../../../local-mcp/recovery/local-source.ts";
import { readContent } from "../../../local-mcp/sessions/session-content.ts";
import type { Session } from "../../../local-mcp/sessions/sessions.ts";
import { visible } from "../../../shared/visible-text.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { timeline } from "../../../local-mcp/host/timeline.ts";
import { toSessionView } from "../../../local-mcp/host/session-view.ts";
import { toFleetRow } from "./fleet.ts";

const maxLines = 500;

interface SessionContext {
  /** How the user types `shim` here. */
  readonly command: string;
  readonly chat: Chat | undefined;
}

/** @returns null: the session was deleted meanwhile */
export function readSessionPage(
  runtime: Runtime,
  session: Session,
  { command, chat }: SessionContext,
): SessionPage | null {
  const now = runtime.now();
  return runtime.store.read((sql) => {
    const content = readContent(sql, session.id);
    const view = toSessionView(sql, runtime, session, chat);
    const lines = timeline(content).toReversed();
    return {
      row: toFleetRow(view, now, null, chat),
      timeline: lines
        .slice(0, maxLines)
        .map(({ at, source, kind, text }) => ({ source, kind, text: visible(text), ageMs: now - at })),
      isAll: lines.length <= maxLines,
      checkpoints: view.checkpoints,
      resumeCommand: view.isAlive ? null : `${command} resume ${view.shortId}`,
      isAlive: view.isAlive,
      canDismiss: view.cause !== null && !isDecided(session),
      canOfferAgain: view.endedAt === null && session.recovery !== null,
    };
  }, null);
}

function isDecided({ recovery }: Session): boolean {
  return recovery === "dismissed" || recovery === "recovered";
}

/** The brief as the next chat would receive it now. */
export async function readBrief(runtime: Runtime, session: Session): Promise<SessionBrief | null> {
  const found = await localSource(runtime, null).inspect(session.id);
  if (!found.ok || found.value === null) return null;
  const { config, now } = runtime;
  const { text, score } = scoredBrief(found.value, now(), config.recovery);
  return { brief: text, score: score.total };
}

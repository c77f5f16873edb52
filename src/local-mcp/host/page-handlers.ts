import type { SessionPage } from "../../contract/machine/page.ts";
import { shimCommand } from "../../platform/shim-command.ts";
import { err, ok } from "../../shared/result.ts";
import * as audit from "../audit/machine-audit.ts";
import { readContent } from "../sessions/session-content.ts";
import type { Session } from "../sessions/sessions.ts";
import { visible } from "../../shared/visible-text.ts";
import { readFleet, toFleetRow } from "./fleet.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import { readMessages } from "./received-messages.ts";
import { findSession } from "./resolve-id.ts";
import { toSessionView } from "./session-view.ts";
import { timeline } from "./timeline.ts";

const maxLines = 500;
const maxEntries = 200;

export const pageHandlers: Handlers<"page.fleet" | "page.session" | "page.messages" | "page.audit"> = {
  "page.fleet": async (context) => ok(await readFleet(context)),
  async "page.session"(context, { session }) {
    const found = findSession(await context.runtime(), session);
    if (!found.ok) return found;
    const page = await readSession(context, found.value);
    return page ? ok(page) : err({ code: "not_found", message: `session ${session} was deleted meanwhile.` });
  },
  "page.messages": async ({ runtime }) => ok({ messages: readMessages(await runtime()) }),
  /** Leaves out the workspace's log where it cannot be read, with the reason. */
  async "page.audit"({ runtime, workspace }, { kind }) {
    const own = audit.listNewest(await runtime(), maxEntries).filter((one) => !kind || one.kind === kind);
    const opened = await workspace.open();
    const input = { limit: maxEntries, ...(kind ? { kind } : {}) };
    const team = opened.ok ? await opened.value.call("audit.list", input) : opened;
    const all = [...own, ...(team.ok ? team.value.entries : [])].toSorted((a, b) => a.ageMs - b.ageMs);
    return ok({ entries: all.slice(0, maxEntries), trouble: team.ok ? null : team.error.message });
  },
};

async function readSession(
  { runtime: load, ...context }: HandlerContext,
  session: Session,
): Promise<SessionPage | null> {
  const runtime = await load();
  const opened = await context.workspace.open();
  const found = opened.ok ? await opened.value.call("chats.get", { chat: session.id }) : opened;
  const chat = found.ok && found.value.status !== "offline" ? found.value : undefined;
  const now = runtime.now();
  return runtime.store.read((sql) => {
    const content = readContent(sql, session.id);
    if (!content) return null;
    const view = toSessionView(sql, runtime, session, chat);
    const lines = timeline(content).toReversed();
    return {
      row: toFleetRow(view, now, chat),
      timeline: lines
        .slice(0, maxLines)
        .map(({ at, source, kind, text }) => ({ source, kind, text: visible(text), ageMs: now - at })),
      isAll: lines.length <= maxLines,
      checkpoints: view.checkpoints,
      resumeCommand: view.isAlive ? null : `${shimCommand(context.site) ?? "shim"} resume ${view.shortId}`,
      isAlive: view.isAlive,
      canDismiss: view.cause !== null && session.recovery !== "dismissed" && session.recovery !== "recovered",
      canOfferAgain: view.endedAt === null && session.recovery !== null,
    };
  }, null);
}

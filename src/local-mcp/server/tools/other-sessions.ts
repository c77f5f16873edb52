import { Id } from "../../../contract/values.ts";
import { projectHere, remoteContext, type ProjectHere, type RemoteContext } from "../../recovery/remote-context.ts";
import { remoteSource } from "../../recovery/remote-source.ts";
import type { RecoverySource } from "../../recovery/source.ts";
import type { Session } from "../../sessions/sessions.ts";
import { pullSome } from "../../sync/pull.ts";
import type { Chat } from "../chat/chat.ts";

/**
 * The sessions of other machines. Pulls at once: a new chat knows no other machine.
 * @returns null without a workspace on an edge, "unreachable" if its coordinator does not answer
 */
export async function otherSessions(
  chat: Chat,
  session: Session,
  idOrPrefix: string | undefined,
): Promise<RecoverySource | "unreachable" | null> {
  const reader = await chat.team?.reader();
  if (!reader?.edge || !chat.team) return null;
  const member = await chat.team.chatFor(session);
  if (!member.ok) return "unreachable";
  const context = remoteContext(chat.runtime, member.value.openedLink, session.id);
  if (!context) return null;
  if (context.link.self === null) return "unreachable";
  const here = await projectHere(member.value.naming, session.project);
  return (await pullFor(context, here, idOrPrefix)) ? remoteSource(context, here) : "unreachable";
}

async function pullFor(
  { mirror }: RemoteContext,
  here: ProjectHere | null,
  idOrPrefix: string | undefined,
): Promise<boolean> {
  const ofProject = here === null || (await pullSome(mirror, { project: here.project })).ok;
  // A prefix can only match a session that is known here.
  const id = Id.safeParse(idOrPrefix);
  const ofNamed = !id.success || (await pullSome(mirror, { session: id.data })).ok;
  return ofProject && ofNamed;
}

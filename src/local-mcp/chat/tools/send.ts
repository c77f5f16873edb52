import type { Target } from "../../../contract/messages.ts";
import { ok } from "../../../shared/result.ts";
import { resolveRecipient } from "../../team/recipients.ts";
import { teamTool } from "./team-tool.ts";

export const send = teamTool<"shim_send">(async ({ member, removed: count }, input) => {
  const found = await resolveRecipient(member, input.to);
  if (!found.ok) return found;
  const target = found.value;
  const to = formatTarget(target);
  const sent = await member.outbox.call("messages.send", { target, body: input.text, requestId: member.newId() });
  const removed = count === 0 ? "" : ` Secrets removed: ${count}.`;
  if (sent.kind === "kept") {
    return ok({
      message: `Kept: the message to ${to} will be sent once, when the coordinator answers again.${removed}`,
      output: { state: "kept", to },
    });
  }
  if (!sent.answer.ok) return sent.answer;
  return ok({
    message: `Sent to ${to}.${removed}`,
    output: { state: "sent", to, id: sent.answer.value.id },
  });
});

function formatTarget(target: Target): string {
  if (target.to === "chat") return target.chat;
  return target.to === "topic" ? `topic:${target.topic}` : "all";
}

import { Submit } from "../../../contract/team-tools.ts";
import { ok } from "../../../shared/result.ts";
import { defineTeamTool, toRefusal } from "./team-tool.ts";

export const submit = defineTeamTool({
  name: "shim_submit",
  title: "Give tasks to the team",
  description: "Submits tasks that other chats and workers take by type, all or none.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  ...Submit,
  async act({ session, member }, { tasks }) {
    const wanted = { tasks, by: session.id, requestId: member.newId() };
    const sent = await member.outbox.call("tasks.submit", wanted as never);
    if (sent.kind === "kept") {
      return ok({
        message:
          "Kept: the tasks will be submitted once, when the coordinator answers again; a notification brings their numbers.",
        output: { state: "kept", tasks: [] },
      });
    }
    if (!sent.answer.ok) return toRefusal(sent.answer.error);
    const tasksOf = sent.answer.value.tasks.map(({ task, state }) => ({ task, state }));
    return ok({
      message: `Submitted: ${tasksOf.map(({ task, state }) => `${task} (${state ?? "known before"})`).join(", ")}.`,
      output: { state: "submitted", tasks: tasksOf },
    });
  },
});

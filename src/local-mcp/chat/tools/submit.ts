import { ok } from "../../../shared/result.ts";
import { teamTool } from "./team-tool.ts";

export const submit = teamTool<"shim_submit">(async ({ session, member }, { tasks }) => {
  const request = { tasks, by: session.id, requestId: member.newId() };
  const sent = await member.outbox.call("tasks.submit", request as never);
  if (sent.kind === "kept") {
    return ok({
      message:
        "Kept: the tasks will be submitted once, when the coordinator answers again; a notification brings their numbers.",
      output: { state: "kept", tasks: [] },
    });
  }
  if (!sent.answer.ok) return sent.answer;
  const tasksOf = sent.answer.value.tasks.map(({ task, state }) => ({ task, state }));
  return ok({
    message: `Submitted: ${tasksOf.map(({ task, state }) => `${task} (${state ?? "known before"})`).join(", ")}.`,
    output: { state: "submitted", tasks: tasksOf },
  });
});

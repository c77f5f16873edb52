import { StateSet } from "../../../contract/team-tools.ts";
import type { Json } from "../../../contract/values.ts";
import { err, ok } from "../../../shared/result.ts";
import { redactJson } from "../../redaction/redact.ts";
import { defineTeamTool, refusal } from "../team-tool.ts";

const withinMs = 8_000;

export const stateSet = defineTeamTool({
  name: "shim_state_set",
  title: "Write shared state",
  description:
    "Sets or deletes a key that all chats share; with ifVersion only if nobody has changed it. Read it as resource shim://state/KEY.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  ...StateSet,
  async act({ session, member }, input) {
    const { key, ifVersion, ttlMs } = input;
    const { link } = member.opened;
    const condition = { key, by: session.id, ...(ifVersion === undefined ? {} : { ifVersion }) };
    if ((input.delete === true) === (input.value !== undefined)) {
      return err({ code: "bad_input", message: 'give "value", or "delete": true, and not both; null is a value.' });
    }
    if (input.delete === true) {
      const deleted = await link.call("state.delete", condition, withinMs);
      if (!deleted.ok) return refusal(deleted.error);
      const { isDeleted, version } = deleted.value;
      return ok({
        message: isDeleted ? `Deleted ${key}.` : `${key} was not there.`,
        output: { version, isDeleted },
      });
    }
    const value = redactJson(input.value).value as Json;
    const written = await link.call(
      "state.set",
      { ...condition, value, ...(ttlMs === undefined ? {} : { ttlMs }) },
      withinMs,
    );
    if (!written.ok) return refusal(written.error);
    const { version } = written.value;
    return ok({ message: `Set ${key}, version ${version}.`, output: { version } });
  },
});

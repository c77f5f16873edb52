import { ClearState } from "../../../contract/tools.ts";
import { defineTool } from "./tool.ts";
import { clear } from "./clear.ts";

export const clearState = defineTool({
  name: "shim_clear_state",
  title: "Delete saved state",
  description: "Deletes what scope and id name, after a backup. Irreversible; only when the user asked for it.",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  ...ClearState,
  async run(chat, input) {
    const entered = chat.enter({ session: input.session, project: input.project }, "delete");
    if (!entered.ok) return entered;
    const clearResult = await clear(chat.runtime, input);
    if (!clearResult.ok) return clearResult;
    chat.recent.clear();
    const { rows, ...cleared } = clearResult.value;
    const backup = clearResult.value.backup ? ` Backup: ${clearResult.value.backup}` : "";
    return {
      ok: true,
      value: {
        text: `Deleted ${clearResult.value.deleted} (${input.scope}).${backup}`,
        output: {
          session: entered.value.id,
          ...cleared,
          ...(input.detail === "detailed" && rows !== undefined ? { rows } : {}),
        },
      },
    };
  },
});

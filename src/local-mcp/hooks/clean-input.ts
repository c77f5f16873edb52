import type { HookInput } from "../../contract/hook-input.ts";
import { idOf, label } from "../sessions/entries.ts";

const idFields = ["prompt_id", "tool_use_id", "agent_id"] as const;
const labelFields = ["agent_type", "source", "model", "tool_name", "trigger", "reason"] as const;

/** Pure. [HO6] Texts and paths stay: they are bounded and redacted where they are stored. */
export function cleanInput(input: HookInput): HookInput {
  return {
    ...input,
    session_id: idOf(input.session_id),
    ...mapFields(input, idFields, idOf),
    ...mapFields(input, labelFields, label),
  };
}

function mapFields(
  input: HookInput,
  names: readonly ((typeof idFields)[number] | (typeof labelFields)[number])[],
  clean: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = input[name];
      return value === undefined ? [] : [[name, clean(value)]];
    }),
  );
}

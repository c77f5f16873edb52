import type { HookInput } from "../../contract/hook-input.ts";
import { redactAndClip, idOf, label } from "../sessions/entries.ts";

const idFields = ["prompt_id", "tool_use_id", "agent_id"] as const;
const labelFields = ["agent_type", "source", "model", "tool_name", "trigger", "reason"] as const;

/** Pure. [HO44] Texts and paths stay: they are bounded and redacted where they are stored. */
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

/** No tool writes deeper values. */
const maxDepth = 64;

/** [HO8] Redacts a text before it is cut, so that no secret is cut in two and missed. */
export function boundTexts(value: unknown, maxText: number, depth = 0): unknown {
  if (typeof value === "string") return value.length > maxText ? redactAndClip(value, maxText) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxDepth) return null;
  if (Array.isArray(value)) return value.slice(0, 1_000).map((item) => boundTexts(item, maxText, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, boundTexts(inner, maxText, depth + 1)]),
  );
}

import { hookToolFields, isHookToolEvent, type HookToolEvent } from "../../contract/hook-tool.ts";
import { jsonOrText } from "../../shared/json-fields.ts";

/** The client passes every value as text. */
const numberFields: ReadonlySet<string> = new Set(["duration_ms", "context_tokens"]);
const booleanFields: ReadonlySet<string> = new Set(["stop_hook_active"]);
const jsonFields: ReadonlySet<string> = new Set([
  "tool_input",
  "tool_input.todos",
  "tool_input.questions",
  "tool_input.answers",
  "tool_response.task",
  "tool_response.answers",
]);

export interface HookToolInput {
  readonly event: HookToolEvent;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Pure. [HO30] Returns null if these are not the arguments of a hook event. */
export function toHookInput(given: unknown): HookToolInput | null {
  if (typeof given !== "object" || given === null) return null;
  const values = new Map<string, unknown>(Object.entries(given));
  const event = values.get("event");
  if (typeof event !== "string" || !isHookToolEvent(event)) return null;
  const input: Record<string, unknown> = { hook_event_name: event };
  for (const name of [...hookToolFields[event], "tool_input"]) {
    const text = values.get(name);
    // The client writes an absent field and an empty one alike.
    if (typeof text !== "string" || text === "") continue;
    setAt(input, name.split("."), parseField(name, text));
  }
  return { event, input };
}

function parseField(name: string, text: string): unknown {
  if (numberFields.has(name)) return Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (booleanFields.has(name)) return text === "true";
  // Keeps other text: a tool may take a plain text where others take an object.
  return jsonFields.has(name) ? jsonOrText(text) : text;
}

function setAt(target: Record<string, unknown>, [name, ...rest]: readonly string[], value: unknown): void {
  if (name === undefined || value === undefined) return;
  const [inner] = rest;
  if (inner === undefined) {
    target[name] = value;
    return;
  }
  const existing = target[name];
  const parent: Record<string, unknown> = typeof existing === "object" && existing !== null ? { ...existing } : {};
  setAt(parent, rest, value);
  target[name] = parent;
}

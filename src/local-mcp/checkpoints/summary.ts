import type { WorkState } from "../../contract/work-state.ts";

const maxBytes = 2_048;

/** [CP5] At most 2 KB, for the search. */
export function summarize(title: string | null, state: WorkState): string {
  const parts = [
    title,
    state.goal,
    state.lastPrompt,
    state.nextStep,
    ...(state.requests ?? []).slice(-4).map(({ text }) => text),
    ...state.inProgress,
    ...state.todos.filter((todo) => todo.status !== "completed").map((todo) => todo.text),
    ...state.done.slice(-5),
    ...state.decisions.slice(-5),
    ...(state.decided ?? []).slice(-5).map(({ text }) => text),
    ...(state.orders ?? []).slice(-5).map(({ text }) => text),
    state.lastError?.text,
    ...state.files.slice(-20).map((file) => file.path.split(/[\\/]/).at(-1)),
  ];
  const seen = new Set(parts.filter((part): part is string => Boolean(part)).map((part) => clip(part, 300)));
  return clip([...seen].join("\n"), maxBytes);
}

/** Cuts to UTF-8 bytes without cutting a character in two. */
export function clip(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text;
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  return encoded
    .subarray(0, bytes)
    .toString()
    .replace(/\uFFFD+$/u, "");
}

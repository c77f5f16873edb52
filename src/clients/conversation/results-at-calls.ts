import type { Call, CallResult, Item } from "./conversation.ts";

interface Ordered {
  readonly items: readonly Item[];
  /** Calls that have got a result which says that there is none. */
  readonly missing: number;
}

const noResult = "[No result was recorded: the session ended before this call did, or its result was lost.]";

/**
 * Pure. APIs refuse a call that is not followed by its result, and a result without its call.
 * Results that came later move up to their calls, and those without a call are left out.
 */
export function withResultsAtCalls(items: readonly Item[]): Ordered {
  const results = new Map<string, CallResult>();
  for (const item of items) if (item.kind === "result" && !results.has(item.of)) results.set(item.of, item);
  const ordered: Item[] = [];
  let open: Call[] = [];
  let missing = 0;
  const close = (): void => {
    for (const { id, at } of open) {
      const result = results.get(id);
      if (!result) missing += 1;
      ordered.push(result ?? { kind: "result", of: id, text: noResult, isError: true, at });
    }
    open = [];
  };
  for (const item of items) {
    // The words of a response may follow its calls.
    if (item.kind !== "call" && item.kind !== "answer") close();
    if (item.kind === "result") continue;
    ordered.push(item);
    if (item.kind === "call") open.push(item);
  }
  close();
  return { items: ordered, missing };
}

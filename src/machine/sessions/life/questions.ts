import type { UsageLimit } from "../../../contract/config.ts";
import type { WaitsFor } from "../../../contract/chat-state.ts";
import type { Life } from "../../../contract/work-state.ts";

/** How the chat stood at the last thing that was seen of it. */
export type Standing =
  | "asking"
  | "running"
  | "interrupted"
  | "failed"
  | "waiting"
  | "unanswered"
  | "working"
  | "unknown";

/** Pure. */
export function standingOf({ turn, calls, asks }: Life): Standing {
  if (asks !== null && asks.for !== "prompt") return "asking";
  if (calls.length > 0) return "running";
  if (turn === null) return "unknown";
  const how = turn.over?.how ?? "unseen";
  if (how !== "unseen") return how === "done" ? "waiting" : how;
  return turn.isAnswered ? "working" : "unanswered";
}

/** Pure. @returns null: nothing of its turns is seen, as in a client without hooks */
export function isInTurn(life: Life | null): boolean | null {
  return life === null ? null : life.turn !== null && life.turn.over === null;
}

/** Pure. Whether a turn has begun whose end was not seen. */
export function isEndUnseen(life: Life | null): boolean {
  const turn = life?.turn ?? null;
  return turn !== null && (turn.over === null || turn.over.how === "unseen");
}

/** Pure. The failure by which the turn ended, if nothing has begun since; times are epoch ms. */
export function failureOf(
  life: Life | null,
): { readonly at: number; readonly text: string; readonly limit: UsageLimit | null } | null {
  const over = life?.turn?.over;
  return over?.how === "failed" ? { at: over.at, text: over.text ?? "", limit: over.limit ?? null } : null;
}

/** Pure. The need of a chat for its user, with its time (epoch ms); null: it has none. */
export function needOf(life: Life | null): { readonly for: WaitsFor; readonly at: number } | null {
  const failure = failureOf(life);
  return failure === null ? (life?.asks ?? null) : { for: "error", at: failure.at };
}

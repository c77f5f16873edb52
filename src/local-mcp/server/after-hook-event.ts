import { checkpoint, type DeferredWork } from "../hooks/run-hook.ts";
import { observeAgain } from "./upkeep.ts";
import type { Chat } from "./chat/chat.ts";
import { stackOf } from "../../shared/error.ts";

/** [HO31] Does the work that an event's answer did not wait for. */
export function afterHookEvent(chat: Chat, { sessionId, trigger, isTranscriptBehind }: DeferredWork): void {
  const { runtime } = chat;
  try {
    if (isTranscriptBehind) observeAgain(chat, sessionId);
    checkpoint(runtime, { sessionId, trigger }, chat.recent);
  } catch (error) {
    runtime.log("error", "the work after a hook event failed", { error: stackOf(error) });
  }
}

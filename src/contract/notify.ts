import * as z from "zod/mini";

/** Events of which the user can be notified. zod/mini: the hooks load it with the settings. */
export const notifyEvents = [
  "chat_died",
  "task_dead",
  "message_waiting",
  "risk_critical",
  "usage_limit",
  "conflict",
] as const;
export type NotifyEvent = (typeof notifyEvents)[number];

export const notifyDefaults = {
  desktop: false,
  webhook: null as string | null,
  events: [...notifyEvents] as readonly NotifyEvent[],
};

/** Titles leave the machine only encrypted, so plain http is for this machine only. */
function isWebhook(text: string): boolean {
  return /^(https:\/\/[\w.-]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\]))(:\d{1,5})?([/?]\S*)?$/i.test(text);
}

export function notifyShape() {
  return {
    desktop: z.boolean(),
    webhook: z.nullable(z.string().check(z.maxLength(2_000), z.refine(isWebhook))),
    events: z.readonly(z.array(z.enum(notifyEvents))),
  };
}

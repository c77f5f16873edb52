import * as z from "zod/mini";

/** What the user can be notified of while no chat is looked at. zod/mini: the hooks load it with the settings. */
export const notifyEvents = ["chat_died", "task_dead", "message_waiting", "risk_critical"] as const;
export type NotifyEvent = (typeof notifyEvents)[number];

export interface NotifySettings {
  /** By notify-send or osascript. */
  readonly desktop: boolean;
  /** Of the supervisor's terminal. */
  readonly bell: boolean;
  /** Gets a POST for each event. */
  readonly webhook: string | null;
  readonly events: readonly NotifyEvent[];
}

export const notifyDefaults: NotifySettings = { desktop: false, bell: false, webhook: null, events: [...notifyEvents] };

/** [CL72] Titles leave the machine only encrypted, or not at all. */
function isWebhook(text: string): boolean {
  return /^(https:\/\/[\w.-]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\]))(:\d{1,5})?([/?]\S*)?$/i.test(text);
}

export function notifyShape() {
  return {
    desktop: z.boolean(),
    bell: z.boolean(),
    webhook: z.nullable(z.string().check(z.maxLength(2_000), z.refine(isWebhook))),
    events: z.readonly(z.array(z.enum(notifyEvents))),
  };
}

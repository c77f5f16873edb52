import { OfflineReason, type Chat } from "../../../contract/chats.ts";

const reasonText: Record<OfflineReason, string> = {
  left: "ended by itself",
  closed: "connection closed",
  timeout: "no sign of life",
  attested: "process gone",
};

export function chatStatusText({ status, reason }: Pick<Chat, "status" | "reason">): string {
  const known = OfflineReason.safeParse(reason);
  if (known.success) return `${status} (${reasonText[known.data]})`;
  return reason === null ? status : `${status} (${reason})`;
}

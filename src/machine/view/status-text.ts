import { stateWords } from "../../contract/chat-state.ts";
import type { ChatStatus } from "../../contract/machine/overview.ts";
import { oneLine, pluralize } from "../../shared/format.ts";
import { visible } from "../../shared/visible-text.ts";

/**
 * @param now epoch ms
 * @param zone minutes that the reader's clock is ahead of UTC: a host keeps the time zone that it
 *   began with
 */
export function renderStatus(status: ChatStatus, now: number, zone = -new Date(now).getTimezoneOffset()): string {
  const { session, died, trouble } = status;
  const parts = [
    ...(trouble === null ? [] : [trouble]),
    ...(trouble !== null && session === null ? [] : ownParts(status, now, zone)),
    ...chatParts(status),
    ...(died > 0 ? [`${died} ${stateWords.died}`] : []),
  ];
  const said = status.notices.map((text) => `\nSHIM: ${oneLine(text, 150)}`).join("");
  return visible(`SHIM: ${parts.join(" | ")}${said}\n`);
}

/** Empty for a chat that has an offer and nothing of its own that could be lost. */
function ownParts({ savedMsAgo, risk, offered, continued }: ChatStatus, now: number, zone: number): string[] {
  const riskParts = risk ? [`risk ${risk.score} ${risk.level}`] : [];
  if (savedMsAgo !== null) return [`saved ${clock(now - savedMsAgo, now, zone)}`, ...riskParts];
  return offered.length + continued.length > 0 ? [] : ["not saved yet", ...riskParts];
}

/** The line stays until the client asks for the next one: an age would grow wrong. */
function clock(at: number, now: number, zone: number): string {
  const here = (moment: number): string => new Date(moment + zone * 60_000).toISOString();
  const [day, time] = here(at).slice(0, 16).split("T");
  return here(now).startsWith(`${day}T`) ? `at ${time}` : `on ${day} ${time}`;
}

function chatParts({ offered, continued, conflicts, messages, waits, stuck }: ChatStatus): string[] {
  const [conflict, ...more] = conflicts;
  const others = more.length === 0 ? "" : ` (and ${more.length} more)`;
  return [
    ...(conflict ? [`conflict in ${oneLine(conflict.path, 60)} with ${conflict.with}${others}`] : []),
    ...(offered.length > 0 ? [`can be continued: ${offered.join(", ")}`] : []),
    ...(continued.length > 0 ? [`continues ${continued.join(", ")}`] : []),
    ...(messages > 0 ? [pluralize(messages, "message")] : []),
    ...(waits > 0 ? [`${waits} ${stateWords.waits}`] : []),
    ...(stuck > 0 ? [`${stuck} ${stateWords.stuck}`] : []),
  ];
}

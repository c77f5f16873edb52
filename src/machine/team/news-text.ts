import { clip, oneLine } from "../../shared/format.ts";
import { compactionText, type News } from "../sessions/news.ts";
import { neutralize } from "../text/neutralize.ts";

const maxChars = { name: 80, title: 120, reason: 400, notice: 1_000 };

/** A notification as a model or a person reads it. The texts of other chats in it are untrusted. */
export function newsText(news: News): string {
  if ("title" in news) return `${formatTask(news)}${formatTaskEvent(news)}`;
  switch (news.kind) {
    case "message":
      return `message from ${formatChat(news.fromName, news.from)}${formatTopic(news)}: ${indentLines(news.text)}`;
    case "report_refused":
      return `the report on task ${news.task} was rejected: ${quotable(news.reason, maxChars.reason)}`;
    case "leader_changed":
      return `${quotable(news.name, maxChars.name)} is led by ${formatLeader(news)} now`;
    case "continued_elsewhere":
      return `session ${quotable(news.session, maxChars.name)} is worked on by chat ${quotable(news.by, maxChars.name)} on ${quotable(news.machine, maxChars.name)} now`;
    case "offer":
      return `session ${quotable(news.session, maxChars.name)} of ${quotable(news.machine, maxChars.name)} died unfinished`;
    case "compaction":
      return compactionText;
    case "conflict":
    case "notice":
      return clip(indentLines(news.text), maxChars.notice);
    default:
      // A kind of a newer program.
      return "";
  }
}

function formatTaskEvent(news: Extract<News, { readonly title: string }>): string {
  if (news.kind === "task_available") return ", of a type that this chat asked for, can be taken now: shim_next";
  const what = news.kind === "claim_lost" ? "is no longer this chat's" : "was cancelled";
  return ` ${what}: ${quotable(news.reason, maxChars.reason)}`;
}

function formatTopic({ topic }: Extract<News, { kind: "message" }>): string {
  return topic === null ? "" : ` on ${quotable(topic, maxChars.name)}`;
}

function formatTask({ task, title }: { readonly task: number; readonly title: string }): string {
  return `task ${task} ("${quotable(title, maxChars.title)}")`;
}

function formatLeader({ leader, isSelf }: Extract<News, { kind: "leader_changed" }>): string {
  if (isSelf) return "this chat";
  return leader === null ? "nobody" : `chat ${quotable(leader, maxChars.name)}`;
}

export function formatChat(name: string, id: string): string {
  return `"${quotable(name, maxChars.name)}" (chat ${quotable(id, maxChars.name).slice(0, 13)})`;
}

/** Untrusted text: one line, nothing that ends a quotation. */
function quotable(text: string, max: number): string {
  return oneLine(neutralize(text).replaceAll('"', " "), max);
}

/** Untrusted text: its lines must not resemble list items. */
export function indentLines(text: string): string {
  return neutralize(text).replaceAll(/\r\n?|[\n\u2028\u2029]/g, "\n  ");
}

import { Inbox } from "../../../contract/team-tools.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../recovery/brief.ts";
import { delivered } from "../../recovery/offer-news.ts";
import * as news from "../../team/news.ts";
import type { News, NewsRow } from "../../team/news.ts";
import { harmless } from "../../words/harmless.ts";
import { block } from "../../team/deliver-news.ts";
import { defineTeamTool, refusal } from "../team-tool.ts";

const mostNews = 20;
const withinMs = 8_000;
/** Of the text; the rest comes with the next call. */
const mostChars = 20_000;

export const inbox = defineTeamTool({
  name: "shim_inbox",
  title: "News of the team",
  description: "Messages, lost claims, cancelled tasks and other news, each once.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  ...Inbox,
  async act({ chat, session, member }, { topics }) {
    for (const pattern of topics ?? []) {
      const subscribed = await member.opened.link.call("messages.subscribe", { pattern }, withinMs);
      if (!subscribed.ok) return refusal(subscribed.error);
    }
    const pulled = await member.pull();
    const { runtime } = chat;
    const now = runtime.now();
    const { rows, isMore } = runtime.store.write((sql) => {
      const waiting = news
        .undelivered(sql, session.id, mostNews + 1)
        .map((row) => Object.assign(row, { news: delivered(row.news, now) }));
      const told = fitting(waiting);
      news.markDelivered(sql, now, told);
      return { rows: told, isMore: told.length < waiting.length };
    });
    const missing = pulled.ok ? "" : ` The coordinator was not reached (${pulled.error.code}): more may wait there.`;
    const lead = `${rows.length === 0 ? "No news." : `News: ${rows.length}.`}${isMore ? " More wait: call again." : ""}${missing}`;
    const texts = rows.map((row) => block(`${age(now - row.at)} ago: ${textOf(row.news)}`));
    return ok({
      message: lead,
      ...(rows.length === 0 ? {} : { told: { as: "news", text: texts.join("\n") } }),
      output: {
        news: rows.map((row) => Object.assign({ ageMs: now - row.at }, harmlessNews(row.news))),
        isMore,
        isComplete: pulled.ok,
      },
    });
  },
});

/** [RE38] The brief of an offer has its own fence, and is neutralised already. */
function harmlessNews<One extends News>(one: One): One {
  const entries = Object.entries(one).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === "string" && name !== "brief" ? harmless(value) : value,
  ]);
  return Object.fromEntries(entries) as One;
}

function fitting(rows: readonly NewsRow[]): NewsRow[] {
  const fits: NewsRow[] = [];
  let chars = 0;
  for (const row of rows.slice(0, mostNews)) {
    chars += JSON.stringify(row.news).length;
    if (fits.length > 0 && chars > mostChars) break;
    fits.push(row);
  }
  return fits;
}

function messageText({ id, from, fromName, topic, text }: Extract<News, { kind: "message" }>): string {
  return `message ${id} from ${from} "${fromName}"${topic === null ? "" : ` to topic ${topic}`}: ${text}`;
}

function leaderText({ name, leader, isSelf }: Extract<News, { kind: "leader_changed" }>): string {
  return `${isSelf ? "this chat" : (leader ?? "nobody")} leads ${name} now`;
}

function ofTask(told: Extract<News, { readonly title: string }>): string {
  if (told.kind === "task_available") return ", of a type that you asked for, can be taken now: shim_next";
  if (told.kind === "claim_lost") return ` is no longer yours: ${told.reason}. Stop the work on it.`;
  return ` was cancelled: ${told.reason}. Stop, and report it as failed.`;
}

function textOf(told: News): string {
  if ("title" in told) return `task ${told.task} (${told.title})${ofTask(told)}`;
  switch (told.kind) {
    case "message":
      return messageText(told);
    case "report_refused":
      return `your report on task ${told.task} did not count: ${told.reason}`;
    case "leader_changed":
      return leaderText(told);
    case "offer":
      return `session ${told.session} died unfinished on ${told.machine}: ${told.brief}`;
    case "continued_elsewhere":
      return `session ${told.session} is continued by ${told.by} on ${told.machine}; do not go on with it here`;
    case "notice":
      return told.text;
  }
}
